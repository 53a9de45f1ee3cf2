//! One value from many pods.

use std::sync::Arc;

use podgauge_store::Pod;

use crate::{
    names::{Across, Metric, split_across},
    tally::{Lack, Question, Tally, Value, tally_pod},
};

/// The pods that were asked, and what each lacks if it does.
pub(crate) type Asked = Vec<(Arc<Pod>, Option<Lack>)>;

/// The sum of what the pods have under the name that is asked for; or, where no page has that name, what its suffix makes of
/// the pods' values ([`Across`]).
pub(crate) fn merged(pods: &[Arc<Pod>], question: &Question<'_>) -> Result<Value, Asked> {
    added_up(pods, question).or_else(|lacking| {
        let is_unknown = lacking.iter().all(|(_, lack)| lack.is_some_and(|lack| lack <= Lack::NoSuchName));
        match split_across(question.metric.name).filter(|_| is_unknown) {
            Some((base, across)) => {
                let metric = &Metric::new(base);
                across_pods(pods, &Question { metric, ..*question }, across)
            }
            None => Err(lacking),
        }
    })
}

/// One value from all pods that have the metric: sums added up, observations taken together.
fn added_up(pods: &[Arc<Pod>], question: &Question<'_>) -> Result<Value, Asked> {
    let tallies = tallies(pods, question)?;
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.merge(tally));
    all.value().map_err(|lack| pods.iter().map(|pod| (Arc::clone(pod), Some(lack))).collect())
}

/// The smallest, largest or mean value over the pods that have one.
fn across_pods(pods: &[Arc<Pod>], question: &Question<'_>, across: Across) -> Result<Value, Asked> {
    let tallies = tallies(pods, question)?;
    let values: Vec<Value> = tallies.iter().filter_map(|tally| tally.value().ok()).collect();
    let nothing = || pods.iter().map(|pod| (Arc::clone(pod), Some(Lack::NoObservation))).collect::<Asked>();
    let numbers = || values.iter().map(|value| value.number);
    #[expect(clippy::cast_precision_loss, reason = "there are fewer pods than a double can count")]
    let number = match across {
        Across::Min => numbers().reduce(f64::min),
        Across::Max => numbers().reduce(f64::max),
        Across::Avg => numbers().reduce(|sum, number| sum + number).map(|sum| sum / values.len() as f64),
    };
    let (number, at) = number.zip(values.iter().map(|value| value.at).min()).ok_or_else(nothing)?;
    Ok(Value { number, at, window: values.iter().filter_map(|value| value.window).max() })
}

/// The tallies of the pods that have the metric; none without all of them.
///
/// A pod that has the metric but cannot be believed now spoils the whole: what is put together without it would look
/// like a fall, and an autoscaler would follow.
fn tallies(pods: &[Arc<Pod>], question: &Question<'_>) -> Result<Vec<Tally>, Asked> {
    let answers: Vec<Result<Tally, Lack>> = pods.iter().map(|pod| tally_pod(pod, question)).collect();
    let is_spoilt = answers.iter().any(|answer| answer.as_ref().is_err_and(|lack| lack.spoils_a_sum()));
    if is_spoilt || answers.iter().all(Result::is_err) {
        return Err(pods.iter().cloned().zip(answers.into_iter().map(Result::err)).collect());
    }
    Ok(answers.into_iter().filter_map(Result::ok).collect())
}
