//! Buying: a form to an order to an answer.

use super::accept::Format;
use super::forms::{self, FormError};
use super::markup::thousands;
use super::once::{Claim, Outcome, Turn};
use super::pages::Notice;
use super::respond::{Answer, JSON, TEXT, answer, with};
use super::routes::{Context, failure};
use crate::envelope::Origin;
use crate::orders::{Confirmation, NewOrder, Orders, SubmitError};
use crate::trace::{Kind, TraceContext, Tracer};
use http::StatusCode;
use http::header::{self, HeaderMap};
use serde_json::json;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::timeout;
use tracing::{Instrument, info, warn};

/// How an order gets to the broker, apart from the request that it came with.
#[derive(Clone)]
struct Till {
    orders: Orders,
    tracer: Tracer,
    queue: String,
    patience: Duration,
}

/// Orders what the form says, and tells how it went.
pub(super) async fn submit(
    context: &Context,
    format: Format,
    headers: &HeaderMap,
    form: &[u8],
    trace: TraceContext,
) -> Answer {
    let Some(orders) = &context.shop.orders else {
        let notice = Notice::plain("This instance has no store (STORE_ENABLED is off).");
        return failure(context, format, StatusCode::NOT_FOUND, notice).await;
    };
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or_default());
    let (quantity, token) = match forms::order(form, key) {
        Ok(order) => order,
        Err(error) => return failure(context, format, StatusCode::BAD_REQUEST, refusal(error)).await,
    };
    let till = Till {
        orders: orders.clone(),
        tracer: context.shop.tracer.clone(),
        queue: context.config.queue.clone(),
        patience: context.config.order_timeout,
    };
    let turn = match token {
        Some(token) => context.once.claim(token),
        None => Turn::First(Claim::unnamed()),
    };
    let (outcome, repeated) = match turn {
        Turn::Again(pending) => (pending.outcome().await, true),
        Turn::First(claim) => {
            let pending = claim.pending();
            // On its own: a browser drops the first request when its user clicks a second time, and the order must
            // go on and be remembered all the same.
            tokio::spawn(till.order_for(claim, quantity, trace).in_current_span());
            (pending.outcome().await, false)
        }
    };
    match outcome {
        Ok(confirmed) => {
            info!(order = confirmed.order, quantity = confirmed.quantity, repeated, "ordered");
            confirm(format, &confirmed, repeated)
        }
        Err(error) => {
            warn!(%error, quantity, repeated, "an order was not confirmed");
            let (status, text) = told(&error);
            let answer = failure(context, format, status, Notice::plain(text)).await;
            match status {
                StatusCode::SERVICE_UNAVAILABLE => retry_after(answer, context.config.retry_after),
                _ => answer,
            }
        }
    }
}

/// The answer to who orders too often.
pub(super) async fn too_often(context: &Context, format: Format, wait: Duration) -> Answer {
    let seconds = seconds_up(wait);
    let text = format!(
        "You are ordering faster than we can write it down. Nothing was ordered; please try again in {} {}.",
        thousands(seconds),
        if seconds == 1 { "second" } else { "seconds" },
    );
    let answer = failure(context, format, StatusCode::TOO_MANY_REQUESTS, Notice::plain(text)).await;
    retry_after(answer, wait)
}

/// The answer to another site that wants to order in its visitor's name, or a browser that only looks ahead.
pub(super) async fn not_asked_for(context: &Context, format: Format) -> Answer {
    let text = "This order did not come from this shop's own page. Nothing was ordered.";
    failure(context, format, StatusCode::FORBIDDEN, Notice::plain(text)).await
}

/// Whether a browser says that this shop's page did not ask for it. What is no browser says nothing.
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let says = |name: &str, what: &str| {
        headers
            .get(name)
            .is_some_and(|value| value.as_bytes().windows(what.len()).any(|part| part == what.as_bytes()))
    };
    says("sec-fetch-site", "cross-site") || says("sec-purpose", "prefetch") || says("purpose", "prefetch")
}

fn confirm(format: Format, confirmed: &Confirmation, repeated: bool) -> Answer {
    let Confirmation { order, quantity } = confirmed;
    match format {
        Format::Json => {
            let body = json!({"order": order, "quantity": quantity, "repeated": repeated});
            answer(StatusCode::OK, JSON, format!("{body}\n"))
        }
        Format::Html => {
            // A page of its own, so that reloading it does not order again.
            let again = if repeated { "&again=1" } else { "" };
            let location = format!("/confirmation?order={order}&quantity={quantity}{again}");
            with(answer(StatusCode::SEE_OTHER, TEXT, "ordered\n"), header::LOCATION, &location)
        }
    }
}

fn refusal(error: FormError) -> Notice {
    Notice { text: error.to_string(), typed: error.typed().map(str::to_owned) }
}

/// What the buyer is told; the log has the rest.
fn told(error: &SubmitError) -> (StatusCode, &'static str) {
    let text = match error {
        SubmitError::Unavailable(_) => {
            "We cannot reach our order queue right now. Nothing was ordered; please try again in a moment."
        }
        SubmitError::Busy => {
            "Too many people are ordering right now. Nothing was ordered; please try again in a moment."
        }
        SubmitError::Refused(_) => {
            "Our order queue takes no more orders right now. Nothing was ordered; please try again in a moment."
        }
        SubmitError::Unconfirmed(_) => {
            let text = "Our order queue did not confirm the order. It may or may not have been taken: look at the queue before you order again.";
            return (StatusCode::GATEWAY_TIMEOUT, text);
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

fn retry_after(answer: Answer, wait: Duration) -> Answer {
    with(answer, header::RETRY_AFTER, &seconds_up(wait).to_string())
}

/// Whole seconds, rounded up, and at least one.
fn seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

// === impl Till ===

impl Till {
    async fn order(self, quantity: NonZeroU32, trace: TraceContext) -> Outcome {
        let mut span = self.tracer.begin("send orders", Kind::Producer, Some(trace));
        span.set("messaging.system", "activemq");
        span.set("messaging.destination.name", &*self.queue);
        span.set("messaging.batch.message_count", u64::from(quantity.get()));
        let origin = Origin { submitted_ms: Some(self.tracer.now_ms()), trace: Some(span.context()) };
        let outcome = timeout(self.patience, self.orders.submit(NewOrder { quantity, origin }))
            .await
            .unwrap_or_else(|_| Err(SubmitError::Unconfirmed("no answer in time".into())));
        if let Err(error) = &outcome {
            span.fail(error);
        }
        outcome
    }

    async fn order_for(self, claim: Claim, quantity: NonZeroU32, trace: TraceContext) {
        claim.settle(self.order(quantity, trace).await);
    }
}
