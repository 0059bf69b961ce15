//! A server of somebody else: whoever connects to it followed a link that they should not have followed. This module must not
//! answer.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A listener on loopback that keeps what it is told.
pub(crate) struct Decoy {
    root: String,
    heard: Arc<Mutex<Vec<String>>>,
    listening: JoinHandle<()>,
}

impl Decoy {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let root = format!("http://{}", listener.local_addr()?);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listening = tokio::spawn(listen(listener, Arc::clone(&heard)));
        Ok(Self { root, heard, listening })
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// What was said, one text for each connection.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, heard: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut first = vec![0; 16 * 1024];
        let length = stream.read(&mut first).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&first[..length]).into_owned();
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}
