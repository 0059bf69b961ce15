//! Certificates for test servers, made with the `openssl` program: a small authority, and server certificates that are
//! right, for another name, expired, or without any subject alternative name.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What kind of server certificate to make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CertificateKind {
    /// For `localhost`, 127.0.0.1 and the given names.
    #[default]
    Right,
    /// For another name.
    OtherName,
    /// For the right names, and long expired.
    Expired,
    /// Without a subject alternative name.
    NoName,
}

/// A server certificate and its key, and the authority that it is from.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes an authority (if the folder has none) and a server certificate. `subject_names` are like `DNS:dc1.corp.example`.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn make(folder: &Path, kind: CertificateKind, subject_names: &str) -> Result<Self, String> {
        let certificates = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        if !certificates.authority.exists() {
            openssl(
                folder,
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 3650 \
                 -subj /O=Lockstep-test/CN=Lockstep-test-authority -addext keyUsage=critical,keyCertSign,cRLSign",
            )?;
        }
        openssl(folder, "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost")?;
        let names = match kind {
            CertificateKind::Right | CertificateKind::Expired => {
                format!("subjectAltName=DNS:localhost,IP:127.0.0.1{}{subject_names}\n", separator(subject_names))
            }
            CertificateKind::OtherName => "subjectAltName=DNS:other.example\n".to_owned(),
            CertificateKind::NoName => String::new(),
        };
        let extensions = format!("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n{names}");
        std::fs::write(folder.join("server.ext"), extensions).map_err(|error| error.to_string())?;
        if kind == CertificateKind::Expired {
            sign_expired(folder)?;
        } else {
            openssl(
                folder,
                "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out server.pem \
                 -extfile server.ext",
            )?;
        }
        Ok(certificates)
    }
}

/// A client certificate from the authority in this folder, and its key. The subject is like `/O=corp/CN=svc`.
///
/// # Errors
/// When `openssl` fails.
pub fn client(folder: &Path, name: &str, subject: &str) -> Result<(PathBuf, PathBuf), String> {
    openssl(folder, &format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj {subject}"))?;
    std::fs::write(folder.join("client.ext"), "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n")
        .map_err(|error| error.to_string())?;
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out {name}.pem \
             -extfile client.ext"
        ),
    )?;
    Ok((folder.join(format!("{name}.pem")), folder.join(format!("{name}.key"))))
}

fn separator(names: &str) -> &'static str {
    if names.is_empty() { "" } else { "," }
}

/// `openssl x509` cannot date a certificate back; `openssl ca` can.
fn sign_expired(folder: &Path) -> Result<(), String> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).map_err(|error| error.to_string());
    write("index.txt", "")?;
    write("serial", "1000\n")?;
    write(
        "ca.cnf",
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n\
         [p]\ncommonName=supplied\n",
    )?;
    openssl(
        folder,
        "ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in server.csr -out server.pem \
         -startdate 20200101000000Z -enddate 20200201000000Z -extfile server.ext",
    )
}

fn openssl(folder: &Path, arguments: &str) -> Result<(), String> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("openssl: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr)))
}
