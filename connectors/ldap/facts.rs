//! What a server says about itself, once: which kind it is, what its schema knows, which places it refers elsewhere.

use std::sync::Arc;

use lockstep_contract::{Fault, FaultKind};

use crate::Settings;
use crate::api::{Call, Search, Session, Sight};
use crate::config::Flavor;
use crate::convert::{FieldMap, IdAttribute};
use crate::dn::Name;
use crate::entry::Entry;
use crate::guid;
use crate::standing::{STATE_ATTRIBUTES, StateAttribute};

/// Says that a server is Active Directory.
const CAPABILITY_ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// The attributes of a group that name members, on servers that keep to the RFCs. The last one, of FreeIPA, names people of
/// other domains, who cannot be identified.
const MEMBER_ATTRIBUTES: [&str; 4] = ["member", "uniqueMember", "memberUid", "ipaExternalMember"];

/// What is known about the server.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) active_directory: bool,
    /// The naming context that holds the people: look-ups by id search all of it.
    pub(crate) root: String,
    /// The server named it. Otherwise it is the place of the people, and whoever is moved elsewhere is out of sight.
    pub(crate) root_known: bool,
    pub(crate) id: IdAttribute,
    pub(crate) fields: FieldMap,
    /// The attributes that can say that somebody has ended, and that the schema knows.
    pub(crate) states: Vec<StateAttribute>,
    /// The attributes that can name members, and that the schema knows.
    pub(crate) member_attributes: Vec<&'static str>,
    /// Attributes that the configuration names and the schema does not know.
    pub(crate) unknown: Vec<String>,
    /// False when the schema could not be read: every attribute is then taken to exist.
    pub(crate) schema_read: bool,
    /// Places on other servers where nobody of ours is.
    pub(crate) elsewhere: Arc<[Name]>,
    pub(crate) people_filter: String,
    pub(crate) groups_filter: String,
    /// The server can say what changed since a time (RFC 4533).
    pub(crate) content_sync: bool,
}

/// The root entry of a server.
pub(crate) async fn root_entry(session: &Session, call: &Call<'_>) -> Result<Entry, Fault> {
    const ATTRIBUTES: [&str; 9] = [
        "namingContexts",
        "defaultNamingContext",
        "supportedCapabilities",
        "supportedControl",
        "subschemaSubentry",
        "highestCommittedUSN",
        "currentTime",
        "vendorVersion",
        "tokenGroups",
    ];
    let search = Search::entry("", ATTRIBUTES.map(str::to_owned).to_vec());
    let found = session.all(call, "read the root entry", &search).await?;
    let about = call.about("read the root entry");
    found.into_iter().next().ok_or_else(|| about.fault(FaultKind::Denied, "the server shows no root entry"))
}

impl Facts {
    /// Asks the server.
    pub(crate) async fn read(session: &Session, call: &Call<'_>, settings: &Settings) -> Result<Self, Fault> {
        let root = root_entry(session, call).await?;
        let active_directory = match settings.config.flavor {
            Flavor::ActiveDirectory => true,
            Flavor::Openldap | Flavor::Directory389 | Flavor::FreeIpa => false,
            Flavor::Auto => root.texts("supportedCapabilities").any(|oid| oid == CAPABILITY_ACTIVE_DIRECTORY),
        };
        let context = naming_context(&root, &settings.people_base);
        let root_known = context.is_some();
        let context = context.unwrap_or(&settings.config.people.base).to_owned();
        let schema = if active_directory { None } else { schema(session, call, &root).await? };
        let known = |name: &str| schema.as_ref().is_none_or(|schema| schema.knows(name));
        let (people, groups) = (&settings.people_filter, &settings.groups_filter);
        let usual = |one: &str, other: &str| if active_directory { one.to_owned() } else { other.to_owned() };
        Ok(Self {
            active_directory,
            id: match &settings.config.people.id_attribute {
                Some(name) if name.eq_ignore_ascii_case("objectGUID") => IdAttribute::ObjectGuid,
                Some(name) => IdAttribute::Text(name.clone()),
                None if active_directory => IdAttribute::ObjectGuid,
                None => IdAttribute::Text(usual_id(settings.config.flavor).to_owned()),
            },
            fields: FieldMap::new(active_directory, &settings.config.fields),
            states: STATE_ATTRIBUTES.into_iter().filter(|state| !active_directory && known(state.name)).collect(),
            member_attributes: MEMBER_ATTRIBUTES.into_iter().filter(|name| known(name)).collect(),
            unknown: named_attributes(settings).filter(|name| !known(name)).cloned().collect(),
            schema_read: active_directory || schema.is_some(),
            elsewhere: elsewhere(active_directory, &root, settings),
            people_filter: people.clone().unwrap_or_else(|| {
                usual("(&(objectCategory=person)(objectClass=user))", "(objectClass=inetOrgPerson)")
            }),
            groups_filter: groups.clone().unwrap_or_else(|| {
                usual(
                    "(objectClass=group)",
                    "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)\
                     (objectClass=groupOfURLs)(objectClass=groupOfMembers))",
                )
            }),
            content_sync: root.texts("supportedControl").any(|oid| oid == crate::changes::SYNC_REQUEST),
            root: context,
            root_known,
        })
    }
}

/// Which database of which domain controller is at the other end of this connection. It changes when one is restored.
pub(crate) async fn replica(session: &Session, call: &Call<'_>) -> Result<Option<String>, Fault> {
    let operation = "read which server answered";
    let read = || async {
        let root = session.all(call, operation, &Search::entry("", vec!["dsServiceName".to_owned()])).await?;
        let Some(service) = root.first().and_then(|root| root.only_text("dsServiceName")) else { return Ok(None) };
        let search = Search::entry(service, vec!["invocationId".to_owned()]);
        Ok(match session.entry(call, operation, &search).await? {
            Sight::Seen(entry) => entry.only("invocationId").and_then(guid::from_object_guid).map(|id| id.to_string()),
            Sight::Absent { .. } | Sight::Hidden => None,
        })
    };
    session.replica.get_or_try_init(read).await.cloned()
}

/// The attribute by which people are known, on servers other than Active Directory.
const fn usual_id(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::Directory389 => "nsUniqueId",
        Flavor::FreeIpa => "ipaUniqueID",
        Flavor::Auto | Flavor::ActiveDirectory | Flavor::Openldap => "entryUUID",
    }
}

/// The attributes that the configuration names, without options.
fn named_attributes(settings: &Settings) -> impl Iterator<Item = &String> {
    let config = &settings.config;
    let all = config.fields.values().chain(&config.people.id_attribute);
    all.chain(config.people.state.iter().map(|state| &state.attribute)).filter(|name| !name.contains([';', '.']))
}

/// The naming context that holds the base.
fn naming_context<'a>(root: &'a Entry, base: &Name) -> Option<&'a str> {
    root.texts("namingContexts")
        .find(|context| Name::parse(context).is_some_and(|c| !c.is_empty() && base.is_below(&c)))
}

/// The places to which a search may refer without missing anybody.
fn elsewhere(active_directory: bool, root: &Entry, settings: &Settings) -> Arc<[Name]> {
    let mut places: Vec<Name> = settings.config.elsewhere.iter().filter_map(|text| Name::parse(text)).collect();
    if active_directory && let Some(domain) = root.only_text("defaultNamingContext") {
        // Active Directory refers to these partitions in every search over a whole domain. No person is in them.
        let own = ["CN=Configuration", "DC=DomainDnsZones", "DC=ForestDnsZones"];
        places.extend(own.iter().filter_map(|part| Name::parse(&format!("{part},{domain}"))));
    }
    places.into()
}

struct Schema(Vec<String>);

impl Schema {
    /// True when an attribute of this name exists.
    fn knows(&self, name: &str) -> bool {
        let quoted = format!("'{}'", name.to_ascii_lowercase());
        self.0.iter().any(|definition| {
            // Only what stands before SYNTAX or the description's end is a name; a quoted word elsewhere is a description.
            let names = definition.split(" desc ").next().unwrap_or(definition);
            names.contains(&quoted)
        })
    }
}

/// The attributes that the server knows; `None` when it does not say.
async fn schema(session: &Session, call: &Call<'_>, root: &Entry) -> Result<Option<Schema>, Fault> {
    let Some(name) = root.only_text("subschemaSubentry") else { return Ok(None) };
    let mut search = Search::entry(name, vec!["attributeTypes".to_owned()]);
    "(objectClass=subschema)".clone_into(&mut search.filter);
    let answer = session.ask(call, "read the schema", &search).await?;
    let definitions: Vec<String> =
        answer.entries.iter().flat_map(|entry| entry.texts("attributeTypes")).map(str::to_ascii_lowercase).collect();
    Ok(if definitions.is_empty() { None } else { Some(Schema(definitions)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_knows_names_and_aliases_but_not_descriptions() {
        let schema = Schema(vec![
            "( 1.3.6.1.1.1.1.10 name 'shadowexpire' equality integermatch )".to_owned(),
            "( 2.16.840.1 name ( 'nsaccountlock' 'lock' ) desc 'see ''logindisabled'' there' )".to_owned(),
        ]);
        assert!(schema.knows("shadowExpire") && schema.knows("nsAccountLock") && schema.knows("LOCK"));
        assert!(!schema.knows("loginDisabled") && !schema.knows("shadow"));
    }

    #[test]
    fn the_context_of_a_base() {
        let root = Entry::of("", &[("namingContexts", &[b"", b"cn=config", b"dc=corp,dc=example"])]);
        let base = Name::parse("OU=Staff,DC=corp,DC=example").expect("name");
        assert_eq!(naming_context(&root, &base), Some("dc=corp,dc=example"));
        assert_eq!(naming_context(&root, &Name::parse("dc=other").expect("name")), None);
    }
}
