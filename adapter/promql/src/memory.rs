//! Series in memory: a [`Source`] for tests, scripts and whoever has a few series to ask about.

use std::collections::BTreeMap;

use crate::{Full, Labels, Request, Sample, Sink, Source};

/// Series by their labels.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Vec<Sample>>,
}

// === impl MemorySource ===

impl MemorySource {
    /// Adds a sample to a series, at its place in time; one at the same time is replaced.
    pub fn push(&mut self, labels: &Labels, sample: Sample) {
        let samples = match self.series.get_mut(labels) {
            Some(samples) => samples,
            None => self.series.entry(labels.clone()).or_default(),
        };
        let at = samples.partition_point(|other| other.t_ms < sample.t_ms);
        match samples.get_mut(at) {
            Some(same) if same.t_ms == sample.t_ms => *same = sample,
            _ => samples.insert(at, sample),
        }
    }

    /// Forgets all series.
    pub fn clear(&mut self) {
        self.series.clear();
    }
}

impl Source for MemorySource {
    fn select(&self, request: &Request<'_>, sink: &mut Sink) -> Result<(), Full> {
        for (labels, samples) in self.series.iter().filter(|(labels, _)| request.matches(labels)) {
            let from = samples.partition_point(|sample| sample.t_ms < request.from_ms);
            let to = samples.partition_point(|sample| sample.t_ms <= request.to_ms);
            sink.push(labels.clone(), samples.get(from..to).unwrap_or_default().iter().copied())?;
        }
        Ok(())
    }
}
