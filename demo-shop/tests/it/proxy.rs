//! A slow network: a relay on loopback that takes its time, or stops.

use demo_shop::stomp::BrokerUrl;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// A relay to a broker. It goes on until the test's runtime ends.
pub(crate) struct Proxy {
    pub(crate) url: BrokerUrl,
    flows: watch::Sender<bool>,
}

/// Bytes that are relayed at once.
const PIECE: usize = 16 << 10;

// === impl Proxy ===

impl Proxy {
    /// Relays, with a pause after each piece.
    pub(crate) async fn start(broker: &BrokerUrl, pause: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (flows, flowing) = watch::channel(true);
        let (host, port) = (broker.host.clone(), broker.port);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect((host.as_str(), port)).await else { continue };
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                tokio::spawn(relay(from_near, to_far, pause, flowing.clone()));
                tokio::spawn(relay(from_far, to_near, pause, flowing.clone()));
            }
        });
        let credentials = broker.credentials.clone();
        let url = BrokerUrl { host: address.ip().to_string(), port: address.port(), credentials };
        Self { url, flows }
    }

    /// From now on nothing gets through, or everything that was held up and all that follows.
    pub(crate) fn flow(&self, flows: bool) {
        self.flows.send_replace(flows);
    }
}

async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    pause: Duration,
    mut flows: watch::Receiver<bool>,
) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        sleep(pause).await;
        if flows.wait_for(|flows| *flows).await.is_err() || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
