//! Certificates and CAs change while the server runs.

use podgauge_apiserver::{CertificateSource, PemPair};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::{
    client::Dial,
    fixture::{authentication, eventually, file, start},
    pki::{Ca, Identity},
};

const RELOADED: &str = "apiserver_reloads_total{what=\"certificate\",result=\"success\"}";
const REFUSED: &str = "apiserver_reloads_total{what=\"certificate\",result=\"failure\"}";

/// The certificate that the server shows.
async fn shown(dial: &Dial) -> Option<CertificateDer<'static>> {
    let stream = dial.tls().await.ok()?;
    stream.get_ref().1.peer_certificates()?.first().cloned()
}

const KNOWN: [(&str, &str); 1] = [("x-remote-user", "plain")];

#[tokio::test]
async fn serving_certificate_in_files() {
    let ca = Ca::new("file serving");
    let (certificate, key) = (file("tls.crt"), file("tls.key"));
    let write = |identity: &Identity| {
        std::fs::write(&certificate, &identity.pem.certificate).unwrap();
        std::fs::write(&key, &identity.pem.key).unwrap();
    };
    let (first, second) = (ca.server("localhost"), ca.server("localhost"));
    write(&first);
    let source = CertificateSource::Files { certificate: certificate.clone(), key: key.clone() };
    let server = start(|config| config.serving.certificate = source).await;
    let dial = Dial { server_ca: ca.pem.clone(), ..server.nobody() };
    assert_eq!(shown(&dial).await.as_ref(), first.chain.first());
    let expiry = server.metric("apiserver_serving_certificate_expiry_timestamp_seconds");
    assert!(expiry > 4e9, "{expiry}");
    let dial_known = Dial { server_ca: ca.pem.clone(), ..server.front_proxy() };
    let mut open = dial_known.connect().await.unwrap();
    assert_eq!(open.get("/healthz", &KNOWN).await.code, 200);

    // Half of a rotation: a certificate without its key is not taken.
    std::fs::write(&certificate, &second.pem.certificate).unwrap();
    eventually("a refusal", || async { server.metric(REFUSED) >= 1.0 }).await;
    assert_eq!(shown(&dial).await.as_ref(), first.chain.first());
    std::fs::remove_file(&key).unwrap();
    let refused = server.metric(REFUSED);
    eventually("another", || async { server.metric(REFUSED) > refused }).await;
    assert_eq!(shown(&dial).await.as_ref(), first.chain.first());

    write(&second);
    eventually("the second", || async { shown(&dial).await.as_ref() == second.chain.first() }).await;
    // Looked at again and again, taken once.
    let refused = server.metric(REFUSED);
    std::fs::write(&key, &first.pem.key).unwrap();
    eventually("one more look", || async { server.metric(REFUSED) > refused }).await;
    assert_eq!(server.metric(RELOADED), 1.0);
    assert_eq!(open.get("/healthz", &KNOWN).await.code, 200, "what is open stays open");
}

#[tokio::test]
async fn serving_certificate_in_memory() {
    let ca = Ca::new("memory serving");
    let (first, second) = (ca.server("localhost"), ca.server("localhost"));
    let (sender, receiver) = watch::channel(None);
    let server = start(|config| config.serving.certificate = CertificateSource::Memory(receiver)).await;
    let dial = Dial { server_ca: ca.pem.clone(), ..server.nobody() };
    assert_eq!(shown(&dial).await, None, "there is no certificate yet");
    sender.send(Some(first.pem.clone())).unwrap();
    eventually("the first", || async { shown(&dial).await.as_ref() == first.chain.first() }).await;
    sender.send(Some(PemPair { certificate: b"rubbish".to_vec(), key: b"rubbish".to_vec() })).unwrap();
    eventually("a refusal", || async { server.metric(REFUSED) == 1.0 }).await;
    assert_eq!(shown(&dial).await.as_ref(), first.chain.first());
    sender.send(Some(second.pem.clone())).unwrap();
    eventually("the second", || async { shown(&dial).await.as_ref() == second.chain.first() }).await;
    drop(sender);
    assert_eq!(shown(&dial).await.as_ref(), second.chain.first());
}

/// A CA that is rotated counts at once, also for who is connected already.
#[tokio::test]
async fn authorities_rotate() {
    let server = start(|_| {}).await;
    let next = Ca::new("next front proxy");
    let plain = [("x-remote-user", "plain")];
    let old = server.front_proxy().http2();
    let new = server.nobody().with(&next.client("front-proxy-client", &[])).http2();
    let mut open = old.connect().await.unwrap();
    assert_eq!(open.get("/apis", &plain).await.code, 200);
    assert_eq!(new.get("/apis", &plain).await.code, 401);

    let publish = |bundle: String| {
        let mut data = authentication(&server.pki);
        data.insert("requestheader-client-ca-file".to_owned(), bundle);
        *server.cluster.authentication.lock().unwrap() = Some(data);
    };
    publish(format!("{}{}", server.pki.front_proxy.pem, next.pem));
    eventually("both", || async { new.get("/apis", &plain).await.code == 200 }).await;
    assert_eq!(open.get("/apis", &plain).await.code, 200);

    publish(next.pem.clone());
    eventually("the new one alone", || async { old.get("/apis", &plain).await.code == 401 }).await;
    assert_eq!(open.get("/apis", &plain).await.code, 401, "on the open connection as well");
    assert_eq!(new.get("/apis", &plain).await.code, 200);

    // Rubbish and nothing are not taken.
    let failures = "apiserver_reloads_total{what=\"authentication\",result=\"failure\"}";
    let before = server.metric(failures);
    publish("rubbish".to_owned());
    eventually("a refusal", || async { server.metric(failures) > before }).await;
    assert_eq!(new.get("/apis", &plain).await.code, 200);
    let proxies = server.pki.foreign.pem.clone() + &next.pem;
    *server.cluster.authentication.lock().unwrap() = Some(
        authentication(&server.pki)
            .into_iter()
            .filter(|(key, _)| key != "client-ca-file")
            .chain([("requestheader-client-ca-file".to_owned(), proxies)])
            .collect(),
    );
    let proxy = server.nobody().with(&server.pki.foreign.client("front-proxy-client", &[]));
    eventually("more proxies", || async { proxy.get("/apis", &plain).await.code == 200 }).await;
    let client = server.nobody().with(&server.pki.clients.client("plain", &[]));
    assert_eq!(client.get("/apis", &[]).await.code, 200, "the client CA that is gone stays");
}
