//! The way to a server, which can be closed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes connections on, until it is closed.
pub(crate) struct Wire {
    port: u16,
    closed: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<JoinHandle<()>>>>,
    listening: JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let (closed, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (own, tasks) = (Arc::clone(&closed), Arc::clone(&open));
        let listening = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if own.load(Ordering::SeqCst) {
                    continue;
                }
                let passing = tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        // Whichever side ends it, both ends are closed then.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
                tasks.lock().unwrap_or_else(PoisonError::into_inner).push(passing);
            }
        });
        Ok(Self { port, closed, open, listening })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection, and refuses new ones.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for passing in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            passing.abort();
        }
    }

    pub(crate) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
        self.close();
    }
}
