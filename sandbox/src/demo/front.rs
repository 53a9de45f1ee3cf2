//! The shop's port on this machine: `localhost:PORT` leads to the front's node port.
//!
//! The node serves its node ports at an address of its own, so that two sandboxes do not meet. This one port is for
//! people, who look for the shop at `localhost`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The most connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// The wait after a connection could not be accepted.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The port, taken and not yet served.
#[derive(Debug)]
pub(super) struct Front {
    listeners: Vec<TcpListener>,
    port: u16,
}

// === impl Front ===

impl Front {
    /// Takes the port on the loopback addresses. IPv6 is left out where there is none.
    pub(super) async fn bind(port: u16) -> io::Result<Self> {
        // A port that is free on one of them need not be on the other.
        const TRIES: usize = 16;
        let mut found = Self::take(port).await;
        for _ in 1..TRIES {
            match &found {
                Err(error) if port == 0 && error.kind() == io::ErrorKind::AddrInUse => {
                    found = Self::take(port).await;
                }
                _ => break,
            }
        }
        found
    }

    async fn take(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        let mut listeners = vec![listener];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => {}
        }
        Ok(Self { listeners, port })
    }

    /// Where people find it.
    pub(super) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Leads connections to `target` until this is dropped.
    pub(super) async fn lead_to(self, target: SocketAddr) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            tasks.spawn(serve(listener, target, permits.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, permits: Arc<Semaphore>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let Ok((mut visitor, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        open.spawn(async move {
            if let Ok(mut shop) = TcpStream::connect(target).await {
                // Either side may break off at any time; that is between the two of them.
                let _ = tokio::io::copy_bidirectional(&mut visitor, &mut shop).await;
            }
            drop(permit);
        });
    }
}
