//! A DNS server on loopback that knows what it is told.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// One record.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Service { priority: u16, weight: u16, port: u16, host: &'static str },
    Address(Ipv4Addr),
}

/// A running server. It ends with the test program.
#[derive(Debug, Clone)]
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    records: Arc<Mutex<Vec<(String, Record)>>>,
}

impl Dns {
    /// Starts a server that knows nothing.
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let records: Arc<Mutex<Vec<(String, Record)>>> = Arc::default();
        let dns = Self { address: socket.local_addr().expect("an address"), records: Arc::clone(&records) };
        std::thread::spawn(move || {
            let mut question = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let known = records.lock().expect("no panic");
                if let Some(answer) = answer(&question[..length], &known) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        dns
    }

    /// Teaches it a record.
    pub(crate) fn knows(&self, name: &str, record: Record) -> &Self {
        self.records.lock().expect("no panic").push((name.to_owned(), record));
        self
    }
}

fn answer(question: &[u8], known: &[(String, Record)]) -> Option<Vec<u8>> {
    const NO_SUCH_NAME: u8 = 3;
    let (mut at, mut labels) = (12, Vec::new());
    while *question.get(at)? > 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let name = labels.join(".");
    let of_name: Vec<&Record> = known.iter().filter(|(known, _)| *known == name).map(|(_, record)| record).collect();
    let answers: Vec<Vec<u8>> = of_name.iter().filter_map(|record| encoded(record, kind)).collect();
    let code = if of_name.is_empty() { NO_SUCH_NAME } else { 0 };
    let mut message = question[..2].to_vec();
    message.extend([0x85, 0x80 | code, 0, 1, 0, u8::try_from(answers.len()).ok()?, 0, 0, 0, 0]);
    message.extend(&question[12..at + 5]);
    for data in answers {
        // The name of the question, this kind, Internet, a time to live of nothing.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0]);
        message.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        message.extend(data);
    }
    Some(message)
}

fn encoded(record: &Record, kind: u16) -> Option<Vec<u8>> {
    const ADDRESS: u16 = 1;
    const SERVICE: u16 = 33;
    match record {
        Record::Address(address) if kind == ADDRESS => Some(address.octets().to_vec()),
        Record::Service { priority, weight, port, host } if kind == SERVICE => {
            let mut data: Vec<u8> =
                [priority, weight, port].into_iter().flat_map(|number| number.to_be_bytes()).collect();
            for label in host.split('.') {
                data.push(u8::try_from(label.len()).ok()?);
                data.extend(label.bytes());
            }
            data.push(0);
            Some(data)
        }
        _ => None,
    }
}
