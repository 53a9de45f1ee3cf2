//! How much the store holds, read when it is asked, so that nothing keeps gauges in step by hand.

use podgauge_store::Reader;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

/// Collects `podgauge_store_*`.
#[derive(Debug)]
pub(crate) struct StoreTotals(pub(crate) Reader);

impl Collector for StoreTotals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let totals = self.0.totals();
        let gauges = [
            ("podgauge_store_pods", "Pods that are known", totals.pods),
            ("podgauge_store_targets", "Addresses that are scraped", totals.targets),
            ("podgauge_store_series", "Series over all targets", totals.series),
            ("podgauge_store_layouts", "Distinct shapes of pages", totals.layouts),
            ("podgauge_store_heap_bytes", "Bytes of all pages and layouts", totals.heap_bytes),
        ];
        for (name, help, value) in gauges {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}
