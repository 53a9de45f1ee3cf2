//! Pods that speak TLS.

use super::*;

/// A pod that speaks TLS with this certificate and key.
async fn tls_pod(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Pod {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let told = Arc::clone(&seen);
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            told.connections.fetch_add(1, Ordering::SeqCst);
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            // Serves its one client until that hangs up.
            while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                if request.ends_with(b"\r\n\r\n") {
                    request.clear();
                    stream.write_all(ok("", PAGE).as_bytes()).await.unwrap();
                }
            }
        }
    });
    Pod { address, seen, _accepting: accepting }
}

/// A certificate for `name`, valid until `year`, signed by an authority; and that authority's, as PEM.
fn certificate(authority_name: &str, name: &str, until: i32) -> (rcgen::Certificate, rcgen::KeyPair, String) {
    let mut authority = rcgen::CertificateParams::default();
    authority.distinguished_name.push(rcgen::DnType::CommonName, authority_name);
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (certificate, key, pem)
}

#[tokio::test]
async fn certificates_count_if_an_authority_is_named() {
    let (good, good_key, authority) = certificate("one", "backend.default.svc", 4000);
    let (old, old_key, old_authority) = certificate("two", "backend.default.svc", 2001);
    let (_, _, stranger) = certificate("three", "elsewhere", 4000);
    let cases = [
        ("unverified", &good, &good_key, None, None),
        ("expired, unverified", &old, &old_key, None, None),
        ("of the authority, with a name that is no address", &good, &good_key, Some(&authority), None),
        ("of another authority", &good, &good_key, Some(&stranger), Some("UnknownIssuer")),
        ("expired", &old, &old_key, Some(&old_authority), Some("certificate expired")),
    ];
    for (what, certificate, key, authority, refused) in cases {
        let pod = tls_pod(certificate, key).await;
        let config = Config { ca_pem: authority.map(|pem| pem.clone().into_bytes()), ..patient() };
        let mut stage = Stage::with(pod.address, &config, Scheme::Https, podgauge_store::Config::default());
        for _ in 0..2 {
            let failure = stage.scrape().await.failure;
            match (&refused, &failure) {
                (None, None) => assert_eq!(stage.value("messages"), Some(7.0), "{what}"),
                (Some(refused), Some(failure)) => {
                    assert_eq!(failure.kind, FailureKind::Tls, "{what}");
                    let beginning = format!("the certificate is refused (--scrape-ca-file): {refused}");
                    assert!(failure.message.starts_with(&beginning), "{what}: {}", failure.message);
                }
                _ => panic!("{what}: {failure:?}"),
            }
        }
        let connections = if refused.is_some() { 2 } else { 1 };
        assert_eq!(pod.seen.connections.load(Ordering::SeqCst), connections, "{what}");
    }
}

#[tokio::test]
async fn the_wrong_scheme_is_named() {
    // This pod answers in the clear whatever comes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
        stream
    };
    let mut stage = Stage::with(plain, &patient(), Scheme::Https, podgauge_store::Config::default());
    let (_stream, status) = tokio::join!(answering, stage.scrape());
    let failure = status.failure.unwrap();
    assert_eq!(
        (failure.kind, &*failure.message),
        (FailureKind::Tls, "the port does not speak TLS; set prometheus.io/scheme to http")
    );

    let (certificate, key, _) = certificate("four", "x", 4000);
    let pod = tls_pod(&certificate, &key).await;
    let failure = Stage::new(pod.address, &patient()).scrape().await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Protocol);
    assert_eq!(
        &*failure.message,
        "the answer is not HTTP/1; if the port speaks TLS, set prometheus.io/scheme to https"
    );
}

#[test]
fn authorities_must_be_certificates() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let config = Config { ca_pem: Some(pem.into()), ..Config::default() };
        let error = Fetcher::new(&config, Clock::new(|| Timestamp::from_millis(0))).unwrap_err().to_string();
        assert!(error.starts_with("--scrape-ca-file: "), "{error}");
    }
}
