//! Those who read what is scraped: what the API hears of them, and what the schedule makes of it.
//!
//! A read leaves a note at the question's rhythm, and the question's number with each target that it is about. When a
//! target's next scrape is planned, the numbers noted there lead back to the rhythms. So a read costs a look-up and
//! waits for nobody, and neither side knows the other.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use podgauge_rhythm::{Audience, Config, Expected, QuestionId, Totals};
use podgauge_store::{Pod, Target};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Hears of reads; cheap to clone.
#[derive(Clone, Debug)]
pub struct Readers {
    audience: Arc<Mutex<Audience>>,
    /// With keys that nobody else knows, so that no reader can find a question that is taken for another's.
    hasher: RandomState,
}

// === impl Readers ===

impl Readers {
    pub(crate) fn new(config: Config) -> Self {
        Self { audience: Arc::new(Mutex::new(Audience::new(config))), hasher: RandomState::new() }
    }

    /// A question was answered at `read`, from these pods. Equal questions are one; what they are made of does not
    /// matter here.
    pub fn answered(&self, question: &impl Hash, pods: &[Arc<Pod>], read: Instant) {
        let heard = self.lock().hear(self.hasher.hash_one(question), read, pods.len());
        let Some(id) = heard else { return };
        for target in pods.iter().flat_map(|pod| pod.targets()) {
            target.read_by(id.number());
        }
    }

    /// What reads of a target are to be expected, into `expected`. Readers who have gone are forgotten.
    pub(crate) fn expect(&self, target: &Target, now: Instant, expected: &mut Vec<Expected>) {
        expected.clear();
        let mut audience = self.lock();
        target.retain_readers(|number| audience.expect(QuestionId::from_number(number), now, expected));
    }

    fn totals(&self) -> Totals {
        self.lock().totals()
    }

    /// Who panics in there leaves rhythms that are a little off, which is all that can be wrong with them.
    fn lock(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how it goes whenever somebody asks.
impl Collector for Readers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let totals = self.totals();
        let gauges = [
            ("read_questions", "Questions that are remembered to learn their rhythm", totals.questions),
            ("read_rhythms", "Questions that are asked in a rhythm", totals.rhythmic),
        ];
        for (name, help, value) in gauges {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)?;
        }
        let counters = [
            ("reads_expected", "Reads that came when they were expected", totals.expected),
            ("reads_unexpected", "Reads that came at another time", totals.unexpected),
            ("reads_passed_over", "Reads of questions beyond --read-rhythm-limit", totals.passed_over),
        ];
        for (name, help, value) in counters {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(encoder)?;
        }
        Ok(())
    }
}
