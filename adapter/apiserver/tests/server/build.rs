//! A server that cannot serve does not start, and says why.

use std::{path::PathBuf, sync::Arc};

use podgauge_apiserver::{
    Api, BuildError, CertificateSource, Config, Parts, PemPair, Probes, RequestHeaderConfig, Server,
    TlsVersion,
};
use prometheus_client::registry::Registry;

use crate::{
    api::{Brake, Gears},
    fixture::{file, start},
    pki::Ca,
};

fn build(change: impl FnOnce(&mut Config), versions: &[&'static str]) -> Result<Server, BuildError> {
    let pair = Ca::new("serving").server("localhost").pem;
    let mut config = Config::new(CertificateSource::fixed(pair));
    config.serving.bind_address = [127, 0, 0, 1].into();
    config.serving.secure_port = 0;
    change(&mut config);
    let api = |version: &&'static str| -> Arc<dyn Api> { Arc::new(Gears(version, Brake::default())) };
    let parts = Parts {
        apis: versions.iter().map(api).collect(),
        authentication: None,
        authorization: None,
        probes: Probes::default(),
        metrics_page: None,
        clock: Arc::new(|| std::time::SystemTime::UNIX_EPOCH),
    };
    Server::build(config, parts, &mut Registry::default())
}

fn check(change: impl FnOnce(&mut Config), expected: &str) {
    let error = build(change, &["v1"]).err().expect(expected).to_string();
    assert!(error.contains(expected), "{error}, wanted {expected}");
}

#[test]
fn refusals() {
    let pair = |certificate: &[u8], key: &[u8]| {
        CertificateSource::fixed(PemPair { certificate: certificate.to_vec(), key: key.to_vec() })
    };
    let ca = Ca::new("serving");
    let (one, other) = (ca.server("localhost").pem, ca.server("localhost").pem);
    check(|c| c.serving.certificate = pair(b"", &one.key), "holds no PEM block CERTIFICATE");
    check(|c| c.serving.certificate = pair(&one.certificate, b""), "holds no PEM block PRIVATE KEY");
    check(|c| c.serving.certificate = pair(&one.certificate, &other.key), "cannot be used with its key");
    let rubbish = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check(|c| c.serving.certificate = pair(rubbish, &one.key), "is not X.509");

    let absent = file("absent.pem");
    let files = CertificateSource::Files { certificate: absent.clone(), key: absent.clone() };
    let missing = |flag: &str| format!("{flag} {}: No such file", absent.display());
    check(|c| c.serving.certificate = files, &missing("--tls-cert-file"));
    check(|c| c.authentication.client_ca_file = Some(absent.clone()), &missing("--client-ca-file"));
    let header = RequestHeaderConfig::new(absent.clone());
    check(|c| c.authentication.request_header = Some(header), &missing("--requestheader-client-ca-file"));
    let endless = CertificateSource::Files { certificate: PathBuf::from("/dev/zero"), key: absent };
    check(|c| c.serving.certificate = endless, "/dev/zero: more than 1048576 bytes");

    let empty = file("empty.pem");
    std::fs::write(&empty, "").unwrap();
    check(|c| c.authentication.client_ca_file = Some(empty.clone()), "is not a bundle of PEM certificates");
    let ca_file = file("ca.pem");
    std::fs::write(&ca_file, &ca.pem).unwrap();
    let header =
        RequestHeaderConfig { group_headers: vec!["a b".to_owned()], ..RequestHeaderConfig::new(ca_file) };
    check(|c| c.authentication.request_header = Some(header), "\"a b\" cannot be the name of an HTTP header");

    check(
        |c| c.serving.cipher_suites = vec!["TLS_RSA_WITH_RC4_128_SHA".to_owned()],
        "unknown or insecure cipher suite TLS_RSA_WITH_RC4_128_SHA; there are TLS_ECDHE_",
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    check(
        |c| c.serving.secure_port = port,
        &format!("listening on 127.0.0.1:{port}: Address already in use"),
    );

    let error = build(|_| {}, &["v1", "v1"]).err().unwrap();
    assert_eq!(error.to_string(), "gears.example.com/v1 is served twice");
    assert!(build(|_| {}, &["v1", "v1beta1"]).is_ok());
}

#[tokio::test]
async fn tls_settings() {
    let server = start(|config| config.serving.min_tls_version = TlsVersion::Tls13).await;
    assert!(server.nobody().tls12().tls().await.is_err());
    assert_eq!(server.nobody().get("/healthz", &[]).await.code, 200);

    let only = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let server = start(|config| {
        config.serving.cipher_suites = vec![only.to_owned(), "TLS_AES_128_GCM_SHA256".to_owned()];
        config.serving.http2 = false;
    })
    .await;
    let stream = server.nobody().tls12().tls().await.unwrap();
    let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite.as_str(), Some(only));
    assert_eq!(server.nobody().get("/healthz", &[]).await.code, 200);
    assert!(server.nobody().http2().tls().await.is_err(), "h2 is not offered");
}
