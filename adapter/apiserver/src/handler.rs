//! One request, from its head to its response: who, whether, what.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use http::{Method, StatusCode, request::Parts};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{self, Instant};

use crate::{
    api::{Answer, Query},
    authn::{Authenticator, Known, peer::Peer},
    authz::Authorizer,
    config::LimitsConfig,
    go_duration,
    metrics::Metrics,
    negotiate::{self, Form},
    pools::{Permit, Pool, Pools},
    request_info::RequestInfo,
    respond::{self, Reply},
    routes::{Asked, Outcome, Route, Routes, Shape},
    status::{Reason, Status},
    target::Target,
};

/// Answers requests.
pub(crate) struct Handler {
    authn: Authenticator,
    authz: Authorizer,
    routes: Routes,
    limits: LimitsConfig,
    pools: Pools,
    metrics: Metrics,
}

/// A response, what it holds until it is written, and what it tells about its connection.
pub(crate) struct Handled {
    pub(crate) reply: Reply,
    pub(crate) permit: Option<Permit>,
    /// The caller was told, and is somebody.
    pub(crate) is_known: bool,
    /// The connection should go.
    pub(crate) close: bool,
}

/// What is known of a request when it ends, for the metrics.
struct Trace {
    verb: &'static str,
    route: String,
    /// `None` as long as the caller has not been told.
    is_anonymous: Option<bool>,
    /// The caller may ask, and the answer is being computed.
    is_evaluated: bool,
}

// === impl Handler ===

impl Handler {
    pub(crate) fn new(
        authn: Authenticator,
        authz: Authorizer,
        routes: Routes,
        limits: LimitsConfig,
        pools: Pools,
        metrics: Metrics,
    ) -> Self {
        Self { authn, authz, routes, limits, pools, metrics }
    }

    pub(crate) async fn handle(&self, peer: &Peer, head: &Parts) -> Handled {
        let started = Instant::now();
        let in_flight = Counted::new(&self.metrics.in_flight);
        let mut trace = Trace {
            verb: method_label(&head.method),
            route: "none".to_owned(),
            is_anonymous: None,
            is_evaluated: false,
        };
        let target = Target::parse(&head.uri, &self.limits);
        let forms = negotiate::accepted(&head.headers);
        let outcome = match &target {
            Ok(target) => self.within_time(peer, head, target, &forms, &mut trace).await,
            Err(status) => Err(status.clone()),
        };
        let (mut reply, permit) = outcome.unwrap_or_else(|status| (respond::status(&status), None));
        let query = target.as_ref().ok().map(|target| &target.query);
        respond::finish(&mut reply, &head.method, &head.headers, &forms, query);
        drop(in_flight);
        self.metrics.request(trace.verb, &trace.route, reply.status().as_u16(), started.elapsed());
        // As upstream over HTTP/2: whoever is unknown does not keep a connection.
        let is_unknown = trace.is_anonymous == Some(true) || reply.status() == StatusCode::UNAUTHORIZED;
        Handled { reply, permit, is_known: trace.is_anonymous == Some(false), close: is_unknown }
    }

    async fn within_time(
        &self,
        peer: &Peer,
        head: &Parts,
        target: &Target,
        forms: &[Form],
        trace: &mut Trace,
    ) -> Result<(Reply, Option<Permit>), Status> {
        let limit = time_limit(&target.query, self.limits.request_timeout)?;
        let deadline = Instant::now() + limit;
        let answer =
            time::timeout_at(deadline, self.answer(peer, head, target, forms, deadline, trace)).await;
        answer.unwrap_or_else(|_| {
            let why = if trace.is_evaluated {
                "answers that have to be computed or asked for take long, or are many (--max-evaluations-inflight)"
            } else {
                "the cluster's API server, which is asked about the caller, is slow"
            };
            Err(Status::new(Reason::Timeout, format!("the request was not answered within {limit:?}: {why}")))
        })
    }

    async fn answer(
        &self,
        peer: &Peer,
        head: &Parts,
        target: &Target,
        forms: &[Form],
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<(Reply, Option<Permit>), Status> {
        let segments = target.segments();
        let route = self.routes.find(segments.as_deref());
        trace.route = route.label();
        let info = RequestInfo::parse(&head.method, &target.path, &target.query);
        if let RequestInfo::Resource(attributes) = &info
            && !attributes.verb.is_empty()
        {
            trace.verb = attributes.verb;
        }
        // Permits to wait are let go before the permit to answer is taken: who waits for the cluster keeps
        // nobody from being answered.
        let user = match self.authn.without_asking(peer, &head.headers)? {
            Known::User(user) => user,
            Known::Token(token, refused) => {
                let _waiting = self.permit(&self.pools.strangers)?;
                self.authn.by_token(&token, refused).await?
            }
        };
        trace.is_anonymous = Some(user.is_anonymous());
        if let Some(question) = self.authz.without_asking(&user, &info)? {
            let is_stranger = user.is_anonymous();
            let _waiting =
                self.permit(if is_stranger { &self.pools.strangers } else { &self.pools.access })?;
            self.authz.ask(question, &user, &info).await?;
        }
        let permit = match (self.authz.is_open(&info), user.is_master()) {
            (true, _) => None,
            (false, true) => Some(self.permit(&self.pools.privileged)?),
            (false, false) => Some(self.permit(&self.pools.answers)?),
        };
        // A failure's document is small.
        let asked = Asked {
            method: &head.method,
            headers: &head.headers,
            forms,
            query: &target.query,
            info: &info,
            user: &user,
        };
        let reply = match self.routed(route, &asked, target)? {
            Outcome::Reply(reply) => reply,
            Outcome::Later(work, shape) => {
                trace.is_evaluated = true;
                let left = deadline.saturating_duration_since(Instant::now());
                let answer = Answer::Later(work).settled(left).await?;
                self.evaluated(answer, shape, target).await?
            }
        };
        Ok((reply, permit))
    }

    /// Computes an answer when it is its turn, on a thread that serves nobody else: however long it takes, those
    /// whose answers are at hand, and the probes, do not notice.
    async fn evaluated(&self, answer: Answer, shape: Shape, target: &Target) -> Result<Reply, Status> {
        let turn = self.turn().await?;
        // Work that nobody waits for any more is done to its end, and its turn is over only then.
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shape.reply(answer)
        });
        work.await.unwrap_or_else(|_| Err(failed(target)))
    }

    /// Waits for a turn to compute, if there is room to wait.
    async fn turn(&self) -> Result<Permit, Status> {
        let turns = &self.pools.evaluations;
        // A turn that is over goes to whoever waits longest: what is to be had here is nobody's.
        if let Ok(turn) = turns.clone().try_acquire_owned() {
            return Ok(turn);
        }
        let _room = self.permit(&self.pools.waiting)?;
        let _waiting = Counted::new(&self.metrics.evaluations_waiting);
        Ok(turns.clone().acquire_owned().await.expect("nobody closes the semaphore"))
    }

    /// The part that runs an API's own code: a panic there costs one request.
    fn routed(&self, route: Route<'_>, asked: &Asked<'_>, target: &Target) -> Result<Outcome, Status> {
        catch_unwind(AssertUnwindSafe(|| self.routes.answer(route, asked)))
            .unwrap_or_else(|_| Err(failed(target)))
    }

    fn permit(&self, pool: &Pool) -> Result<Permit, Status> {
        pool.take().inspect_err(|_| {
            self.metrics.shed.inc();
        })
    }
}

/// What there is to say after a panic.
fn failed(target: &Target) -> Status {
    tracing::error!(path = target.path, "panic while answering a request");
    Status::new(
        Reason::InternalError,
        "this server failed on the request; its log has the details, please report them",
    )
}

/// How long a request may take: the caller's `timeout`, but not more than ours.
fn time_limit(query: &Query, most: Duration) -> Result<Duration, Status> {
    let Some(text) = query.value("timeout") else { return Ok(most) };
    match go_duration::parse(text) {
        Some(Duration::ZERO) => Ok(most),
        Some(asked) => Ok(asked.min(most)),
        None => Err(Status::bad_request(
            "invalid timeout specified in the request URL: it should be a duration such as 30s or 1m30s",
        )),
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "OPTIONS" => "options",
        _ => "other",
    }
}

/// One more as long as it lives, also when it is cancelled.
struct Counted<'a>(&'a Gauge);

// === impl Counted ===

impl<'a> Counted<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (text, expected) in [
            ("", Ok(60)),
            ("0s", Ok(60)),
            ("5s", Ok(5)),
            ("2m", Ok(60)),
            ("zz", Err(400)),
            ("-1s", Err(400)),
            ("5", Err(400)),
        ] {
            let query = Query(vec![("timeout".to_owned(), text.to_owned())]);
            let found = time_limit(&query, Duration::from_secs(60));
            assert_eq!(found.map(|d| d.as_secs()).map_err(|s| s.code.as_u16()), expected, "{text:?}");
        }
    }
}
