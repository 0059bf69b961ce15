//! Which column holds what. Pure. What the configuration names is taken from there and nowhere else; the rest is
//! recognised by its English header, and never by its content.

use lockstep_contract::{FieldName, field};

use crate::config::Config;
use crate::source::Complaint;
use crate::table::Table;

/// The columns of a people file, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) id: usize,
    pub(crate) status: Option<usize>,
    pub(crate) leave_date: Option<usize>,
    pub(crate) start_date: Option<usize>,
    pub(crate) absent_from: Option<usize>,
    pub(crate) absent_to: Option<usize>,
    pub(crate) site: Option<usize>,
    pub(crate) card: Option<usize>,
    pub(crate) fields: Vec<(FieldName, usize)>,
}

const ID: &str = "id";
const STATUS: &str = "status";
const LEAVE_DATE: &str = "leave_date";
const CARD: &str = "card";
/// Dates that count only when the configuration names them: a hire date may be there for people to read.
const START_DATE: &str = "start_date";
const ABSENT_FROM: &str = "absent_from";
const ABSENT_TO: &str = "absent_to";
/// Names that the groups file uses.
const OF_GROUPS: [&str; 2] = ["group", "member"];

/// What a column may hold, and the headers by which it is recognised, the best one first; without blanks, hyphens and
/// underscores, in lower case.
const KNOWN: [(&str, &[&str]); 18] = [
    (ID, &["id", "personid", "entryuuid"]),
    (STATUS, &["status", "employmentstatus", "employeestatus"]),
    (LEAVE_DATE, &["leavedate", "lastday", "leavingdate", "terminationdate", "enddate"]),
    (CARD, &["card", "cardnumber", "badgenumber"]),
    (field::GIVEN_NAME, &["givenname", "firstname", "forename"]),
    (field::FAMILY_NAME, &["familyname", "lastname", "surname", "sn"]),
    (field::DISPLAY_NAME, &["displayname", "fullname", "name", "cn"]),
    (field::EMPLOYEE_NUMBER, &["employeenumber", "employeeid", "employeeno", "personnelnumber", "staffid"]),
    (field::EMPLOYEE_TYPE, &["employeetype", "contracttype"]),
    (field::DEPARTMENT, &["department", "departmentnumber", "dept"]),
    (field::TITLE, &["title", "jobtitle", "position"]),
    (field::MANAGER, &["manager", "managerid", "supervisor"]),
    (field::COMPANY, &["company", "organization", "o"]),
    (field::SITE, &["site", "location", "office", "physicaldeliveryofficename", "l"]),
    (field::MAIL, &["mail", "email", "emailaddress", "workemail"]),
    (field::PHONE, &["phone", "telephonenumber", "telephone", "workphone"]),
    (field::UPN, &["upn", "userprincipalname"]),
    (field::ACCOUNT, &["account", "accountname", "samaccountname", "uid"]),
];

/// Checks the names in `columns` without a file.
pub(crate) fn check_names(config: &Config) -> Result<(), Complaint> {
    for name in config.columns.keys() {
        if FieldName::new(name.as_str()).is_err() {
            let help = "use id, status, leave_date, start_date, absent_from, absent_to, card, group, member, or a field name such as \
                        given_name";
            return Err(Complaint::broken(format!("columns: `{name}` is no name of a field")).with_help(help));
        }
    }
    Ok(())
}

/// The column that the configuration names for this, if it names one.
pub(crate) fn configured(table: &Table, config: &Config, name: &str) -> Result<Option<usize>, Complaint> {
    let Some(header) = config.columns.get(name) else { return Ok(None) };
    let wanted = header.trim().to_lowercase();
    let at = table.headers.iter().position(|found| found.trim().to_lowercase() == wanted).ok_or_else(|| {
        let message = format!("{}:1: there is no column `{header}`, which `columns.{name}` names", table.file);
        Complaint::broken(message).with_help(format!("the columns are: {}", table.headers.join(", ")))
    })?;
    Ok(Some(at))
}

/// Finds the columns of a people file.
///
/// # Errors
/// When a column that the configuration names is not there, nothing holds the id, or nothing says who still works here.
pub(crate) fn resolve(table: &Table, config: &Config) -> Result<Columns, Complaint> {
    let mut holds: Vec<Option<String>> = vec![None; table.headers.len()];
    for name in config.columns.keys().filter(|name| !OF_GROUPS.contains(&name.as_str())) {
        if let Some(slot) = configured(table, config, name)?.and_then(|at| holds.get_mut(at)) {
            if let Some(other) = slot {
                let message = format!("`columns.{name}` and `columns.{other}` name the same column");
                return Err(Complaint::broken(message));
            }
            *slot = Some(name.clone());
        }
    }
    for (name, headers) in KNOWN {
        if config.columns.contains_key(name) {
            continue;
        }
        let found = headers.iter().find_map(|known| {
            let at = |at: &usize| table.headers.get(*at).is_some_and(|header| simplified(header) == **known);
            (0..holds.len()).find(at)
        });
        if let Some(slot) = found.and_then(|at| holds.get_mut(at)).filter(|slot| slot.is_none()) {
            *slot = Some(name.to_owned());
        }
    }
    // What is left keeps its own name, where that can be one.
    for (slot, header) in holds.iter_mut().zip(&table.headers) {
        if slot.is_none() {
            *slot = own_name(header);
        }
    }
    let at = |name: &str| holds.iter().position(|held| held.as_deref() == Some(name));
    let Some(id) = at(ID).or_else(|| at(field::EMPLOYEE_NUMBER)) else {
        let help = "name the column that never changes for a person: `columns = { id = \"…\" }`";
        return Err(Complaint::broken(format!("{}:1: no column holds the id of a person", table.file)).with_help(help));
    };
    let columns = Columns {
        id,
        status: at(STATUS),
        leave_date: at(LEAVE_DATE),
        start_date: configured(table, config, START_DATE)?,
        absent_from: configured(table, config, ABSENT_FROM)?,
        absent_to: configured(table, config, ABSENT_TO)?,
        site: at(field::SITE),
        card: at(CARD),
        fields: fields(&holds),
    };
    check_standing(table, config, &columns)?;
    Ok(columns)
}

fn fields(holds: &[Option<String>]) -> Vec<(FieldName, usize)> {
    let mut taken = std::collections::BTreeSet::from([ID, STATUS, LEAVE_DATE, CARD]);
    let mut fields = Vec::new();
    for (at, name) in holds.iter().enumerate() {
        let Some(name) = name.as_deref() else { continue };
        if let Ok(field) = FieldName::new(name)
            && taken.insert(name)
        {
            fields.push((field, at));
        }
    }
    fields
}

fn check_standing(table: &Table, config: &Config, columns: &Columns) -> Result<(), Complaint> {
    if columns.status.is_none() && columns.leave_date.is_none() && !config.listed_means_active {
        let message = format!("{}:1: no column says who still works here", table.file);
        let help = "name it with `columns = { status = \"…\" }`, or set `listed_means_active = true`";
        return Err(Complaint::broken(message).with_help(help));
    }
    let dates = [columns.leave_date, columns.start_date, columns.absent_from, columns.absent_to];
    let zoned = config.time_zone.is_some() || !config.sites.is_empty();
    if dates.iter().any(Option::is_some) && !zoned {
        let message =
            format!("{}:1: there are leave dates, and it is not known in which time zone a day ends", table.file);
        return Err(Complaint::broken(message).with_help("set `time_zone`, for example to `Europe/Berlin`"));
    }
    Ok(())
}

fn simplified(header: &str) -> String {
    header.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// `Cost Center` is `cost_center`. `None` when no field name can be made of it.
fn own_name(header: &str) -> Option<String> {
    let plain: String =
        header.trim().chars().map(|c| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() }).collect();
    FieldName::new(plain.clone()).ok().map(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(headers: &[&str]) -> Table {
        Table { file: "p.csv".into(), headers: headers.iter().map(|h| (*h).to_owned()).collect(), ..Table::default() }
    }

    fn config(text: &str) -> Config {
        toml_like(text)
    }

    /// Settings from a list of `column=header` pairs.
    fn toml_like(columns: &str) -> Config {
        let pairs = columns.split(';').filter_map(|pair| pair.split_once('='));
        Config {
            columns: pairs.map(|(name, header)| (name.to_owned(), header.to_owned())).collect(),
            ..crate::feed::tests::config()
        }
    }

    #[test]
    fn columns_are_found_by_configuration_then_by_english_header() {
        let headers = ["Personalnummer", "First Name", "LAST-NAME", "E-Mail", "Status", "Cost Center", "Größe"];
        let found = resolve(&table(&headers), &config("id=personalnummer;mail=e-mail")).expect("columns");
        assert_eq!((found.id, found.status, found.leave_date), (0, Some(4), None));
        let fields: Vec<(&str, usize)> = found.fields.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        assert_eq!(fields, [("given_name", 1), ("family_name", 2), ("mail", 3), ("cost_center", 5)]);
    }

    #[test]
    fn without_a_column_of_its_own_the_id_is_the_employee_number() {
        let found = resolve(&table(&["Employee ID", "Status"]), &config("")).expect("columns");
        assert_eq!((found.id, found.fields.len()), (0, 1));
    }

    #[test]
    fn a_header_that_lacks_what_is_needed_is_refused_with_what_to_do() {
        for (headers, columns, says) in [
            (&["name", "status"][..], "", "no column holds the id"),
            (&["id", "name"], "", "no column says who still works here"),
            (&["id", "status"], "mail=Mail", "there is no column `Mail`"),
            (&["id", "leave date"], "", "not known in which time zone"),
            (&["id", "status"], "mail=status;title=Status", "name the same column"),
        ] {
            let refused = resolve(&table(headers), &config(columns)).expect_err(says);
            assert!(refused.message.contains(says), "{}", refused.message);
        }
    }
}
