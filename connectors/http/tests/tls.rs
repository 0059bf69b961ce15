//! Whom the client talks to: a server of a trusted authority, with the right name, at the right time, and nobody else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lockstep_contract::{Cx, FaultKind, Secret};
use lockstep_http::{Auth, CallFault, Client, ClientCertificate, Effect, Request, Settings, checked_base};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates")
}

/// A server for one connection that shows this certificate.
fn server(name: &str) -> u16 {
    serve(name, Arc::new(NoClientAuth))
}

/// The same, for clients that show a certificate of the test authority.
fn demanding_server() -> u16 {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(certificates().join("authority.pem")).expect("the authority");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
    serve("good", verifier)
}

fn serve(name: &str, clients: Arc<dyn ClientCertVerifier>) -> u16 {
    let folder = certificates();
    let chain = vec![CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key.pem"))).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .expect("a server");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let Ok((stream, _)) = listener.accept() else { return };
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).expect("a connection"), stream);
        let mut head = [0; 4096];
        if stream.read(&mut head).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

async fn talk(port: u16, host: &str, ca_file: Option<PathBuf>) -> Result<u16, CallFault> {
    talk_with(port, host, Settings { ca_file, ..Settings::default() }).await
}

async fn talk_with(port: u16, host: &str, settings: Settings) -> Result<u16, CallFault> {
    let base = checked_base(&format!("https://{host}:{port}/")).expect("a base");
    let auth = Auth::Bearer(Secret::new("s3cret".into()));
    let client = Client::open("hq", base.clone(), auth, settings).expect("a client");
    let cx = Cx::new(Duration::from_secs(20));
    client.call(&cx).send(Request::get(base, "application/json", "say hello")).await.map(|answer| answer.status())
}

#[tokio::test]
async fn a_server_of_the_configured_authority_is_trusted() {
    let authority = certificates().join("authority.pem");
    assert_eq!(talk(server("good"), "127.0.0.1", Some(authority)).await, Ok(204));
}

#[tokio::test]
async fn a_certificate_of_ours_is_shown_where_one_is_demanded() {
    let folder = certificates();
    let ca_file = Some(folder.join("authority.pem"));
    let key = std::fs::read_to_string(folder.join("client.key.pem")).expect("a key");
    let certificate = ClientCertificate { file: folder.join("client.pem"), key: Secret::new(key.clone()) };
    let settings = Settings { ca_file: ca_file.clone(), certificate: Some(certificate), ..Settings::default() };
    assert_eq!(talk_with(demanding_server(), "127.0.0.1", settings).await, Ok(204));
    let fault = talk(demanding_server(), "127.0.0.1", ca_file).await.expect_err("no certificate");
    assert_eq!(fault.fault.kind, FaultKind::Unreachable, "{fault}");
    let swapped = ClientCertificate { file: folder.join("no-such.pem"), key: Secret::new(key) };
    let settings = Settings { certificate: Some(swapped), ..Settings::default() };
    let base = checked_base("https://pacs.example/").expect("a base");
    assert_eq!(Client::open("hq", base, Auth::None, settings).expect_err("no file").kind, FaultKind::Invalid);
}

#[tokio::test]
async fn everybody_else_gets_no_request() {
    let authority = certificates().join("authority.pem");
    for (name, ca_file) in [
        ("good", None),
        ("wrong-name", Some(authority.clone())),
        ("expired", Some(authority.clone())),
        ("not-yet-valid", Some(authority.clone())),
        ("good", Some(certificates().join("wrong-name.pem"))),
    ] {
        let fault = talk(server(name), "127.0.0.1", ca_file).await.expect_err(name);
        assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Unreachable, Effect::NotSent), "{name}: {fault}");
        assert!(fault.fault.message.to_lowercase().contains("certificate"), "{name}: the cause is not said: {fault}");
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let seen = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        all
    });
    let fault = talk(port, "127.0.0.1", Some(certificates().join("authority.pem"))).await.expect_err("no TLS");
    assert_eq!(fault.effect, Effect::NotSent);
    let seen = seen.join().expect("the server");
    assert!(!String::from_utf8_lossy(&seen).contains("s3cret"));
}

#[test]
fn a_file_without_certificates_is_refused() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    for file in [empty.path().to_owned(), PathBuf::from("no-such-file.pem")] {
        let base = checked_base("https://pacs.example/").expect("a base");
        let settings = Settings { ca_file: Some(file), ..Settings::default() };
        let fault = Client::open("hq", base, Auth::None, settings).expect_err("no authority");
        assert_eq!(fault.kind, FaultKind::Invalid);
    }
}
