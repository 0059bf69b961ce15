//! A scripted LDAP server over TLS. It answers by what is asked, in bytes that the test made, right or wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use ldap3::asn1::{PL, StructureTag, parse_tag};
use lockstep_testbed::certificates::{CertificateKind, Certificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server says. Each answer is a list of protocol operations, sent in one go.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// To a log-in.
    pub(crate) bind: Vec<u8>,
    /// To a search for people, page by page; from the first again for the next search without a cookie.
    pub(crate) people: Vec<Vec<Vec<u8>>>,
    /// To a search for groups.
    pub(crate) groups: Vec<Vec<Vec<u8>>>,
    /// To a search for one entry by name, other than the root entry.
    pub(crate) by_name: Vec<Vec<u8>>,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) ca_file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts the server; its threads end with the test program. `None` where certificates cannot be made.
    pub(crate) fn start(script: Script) -> Option<Self> {
        let folder = tempfile::tempdir().expect("folder");
        let made = Certificates::make(folder.path(), CertificateKind::Right, "").ok()?;
        let chain = CertificateDer::pem_file_iter(&made.certificate).expect("file").collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_file(&made.key).expect("key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates"), key)
            .expect("certificate");
        let (tls, listener) = (Arc::new(tls), TcpListener::bind(("127.0.0.1", 0)).expect("port"));
        let port = listener.local_addr().expect("address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, script) = (Arc::clone(&tls), script.clone());
                std::thread::spawn(move || serve(tls, stream, &script));
            }
        });
        Some(Self { url: format!("ldaps://localhost:{port}"), ca_file: made.authority, _folder: folder })
    }
}

fn serve(tls: Arc<ServerConfig>, stream: TcpStream, script: &Script) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(tls).ok()?, stream);
    let mut buffer = Vec::new();
    let mut page = 0;
    loop {
        while let Ok((rest, message)) = parse_tag(&buffer) {
            let left = rest.len();
            buffer.drain(..buffer.len() - left);
            let PL::C(parts) = message.payload else { return None };
            let mut parts = parts.into_iter();
            let PL::P(id) = parts.next()?.payload else { return None };
            for operation in answer(script, parts.next()?, parts.next(), &mut page)? {
                let body = [tlv(0x02, &id), operation].concat();
                stream.write_all(&tlv(0x30, &body)).ok()?;
            }
        }
        let mut chunk = [0; 4_096];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => buffer.extend_from_slice(chunk.get(..count)?),
        }
    }
}

/// The operations that answer a request; `None` ends the connection.
fn answer(
    script: &Script,
    request: StructureTag,
    controls: Option<StructureTag>,
    page: &mut usize,
) -> Option<Vec<Vec<u8>>> {
    match request.id {
        0 => Some(vec![script.bind.clone()]),
        3 => {
            let PL::C(parts) = request.payload else { return None };
            let text = |at: usize| match &parts.get(at)?.payload {
                PL::P(bytes) => Some(bytes.clone()),
                PL::C(_) => None,
            };
            if text(1)? == [0] {
                return Some(if text(0)?.is_empty() { root() } else { script.by_name.clone() });
            }
            let controls = controls.map(|controls| all_bytes(&controls)).unwrap_or_default();
            // A first page is asked for with an empty cookie.
            let first = controls.ends_with(&[4, 0]);
            *page = if first { 0 } else { *page + 1 };
            let filter = all_bytes(parts.get(6)?);
            let groups = filter.windows(5).any(|part| part == b"group");
            let pages = if groups { &script.groups } else { &script.people };
            Some(pages.get(*page)?.clone())
        }
        _ => None,
    }
}

/// A root entry without a schema: every attribute is taken to exist.
fn root() -> Vec<Vec<u8>> {
    let attributes = [attribute("namingContexts", &[b"dc=corp,dc=example"])];
    vec![entry(b"", &attributes), done_without_control(0)]
}

fn all_bytes(tag: &StructureTag) -> Vec<u8> {
    match &tag.payload {
        PL::P(bytes) => bytes.clone(),
        PL::C(parts) => parts.iter().flat_map(all_bytes).collect(),
    }
}

fn tlv(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("short").to_be_bytes();
    let mut bytes = vec![kind, 0x84];
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(content);
    bytes
}

/// The answer to a log-in.
pub(crate) fn bind_answer(code: u8) -> Vec<u8> {
    tlv(0x61, &result(code))
}

fn result(code: u8) -> Vec<u8> {
    [tlv(0x0a, &[code]), tlv(0x04, b""), tlv(0x04, b"")].concat()
}

/// One attribute with its values.
pub(crate) fn attribute(name: &str, values: &[&[u8]]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| tlv(0x04, value)).collect();
    tlv(0x30, &[tlv(0x04, name.as_bytes()), tlv(0x31, &values)].concat())
}

/// One entry of an answer.
pub(crate) fn entry(name: &[u8], attributes: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x64, &[tlv(0x04, name), tlv(0x30, &attributes.concat())].concat())
}

/// A reference to another server.
pub(crate) fn reference(uri: &str) -> Vec<u8> {
    tlv(0x73, &tlv(0x04, uri.as_bytes()))
}

/// The end of a search that was not paged.
pub(crate) fn done_without_control(code: u8) -> Vec<u8> {
    tlv(0x65, &result(code))
}

/// The end of a page, with its control.
pub(crate) fn done(code: u8, cookie: &[u8]) -> Vec<u8> {
    let value = tlv(0x30, &[tlv(0x02, &[0]), tlv(0x04, cookie)].concat());
    let control = tlv(0x30, &[tlv(0x04, b"1.2.840.113556.1.4.319"), tlv(0x04, &value)].concat());
    [done_without_control(code), tlv(0xa0, &control)].concat()
}
