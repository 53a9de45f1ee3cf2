use super::*;

fn endpoint(path: &str) -> Endpoint {
    Endpoint { scheme: Scheme::Http, address: [10, 0, 0, 7].into(), port: 8080, path: path.into(), terms: 0 }
}

#[test]
fn statuses_say_what_to_do() {
    let redirect = "and redirects are not followed; set the annotations prometheus.io/scheme, /port and /path to where the page is";
    let cases = [
        (500, "", "HTTP 500 from /metrics".to_owned()),
        (204, "", "HTTP 204 from /metrics: no page".to_owned()),
        (
            404,
            "",
            "HTTP 404 from /metrics; set prometheus.io/path, and prometheus.io/port, to where the page is"
                .to_owned(),
        ),
        (
            401,
            "",
            "HTTP 401 from /metrics; scrapes carry no credentials, so the page must be readable without"
                .to_owned(),
        ),
        (
            400,
            "",
            "HTTP 400 from /metrics; if the port speaks TLS, set prometheus.io/scheme to https".to_owned(),
        ),
        (
            302,
            "http://other.example:80/m?token=s3cret#x",
            format!("HTTP 302 from /metrics redirects to \"http://other.example:80/m\", {redirect}"),
        ),
        (
            301,
            "https://me:s3cret@other.example/m",
            format!("HTTP 301 from /metrics redirects to \"other.example/m\", {redirect}"),
        ),
        (307, "", format!("HTTP 307 from /metrics redirects to elsewhere, {redirect}")),
    ];
    for (status, location, expected) in cases {
        let location = Some(location).filter(|location| !location.is_empty());
        let error = ScrapeError::status(status, location, &endpoint("/metrics?token=s3cret"));
        assert_eq!(error.kind, FailureKind::HttpStatus);
        assert_eq!(error.message, expected);
    }
}

#[test]
fn connecting_says_what_is_missing() {
    let cases = [
        (io::ErrorKind::ConnectionRefused, "connection refused: nothing listens on port 8080"),
        (io::ErrorKind::HostUnreachable, "no route to 10.0.0.7; is a network policy in the way?"),
        (io::ErrorKind::AddrNotAvailable, "cannot connect: address not available"),
    ];
    for (kind, expected) in cases {
        assert_eq!(ScrapeError::connect(&kind.into(), &endpoint("/")).message, expected);
    }
}

#[test]
fn limits_name_their_flag() {
    let series = ScrapeError::page(&PageError::TooManySeries { limit: 50_000 });
    assert_eq!(series.kind, FailureKind::Limit);
    assert_eq!(series.message, "the page has more than 50000 series (--scrape-series-limit)");
    assert_eq!(
        ScrapeError::body_limit(16 << 20).message,
        "the page is larger than 16 MiB (--scrape-body-limit)"
    );
    assert_eq!(
        ScrapeError::store_full(&StoreFull::Series(7)).message,
        "the store already holds the 7 series that it may (--series-limit)"
    );
}

#[test]
fn a_deadline_says_where_the_time_went() {
    let message = |phase| ScrapeError::timeout(Duration::from_secs(10), phase).message;
    assert_eq!(message(Phase::Waiting), "timed out after 10s while waiting for an answer");
    assert_eq!(
        message(Phase::Connecting),
        "timed out after 10s while connecting; is a network policy in the way?"
    );
}
