//! The store through its public face: who lives how long, and what a window says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pods;
mod room;
mod windows;

use std::{net::IpAddr, sync::Arc, time::Duration};

use podgauge_store::{
    Config, Endpoint, Increase, Kind, Layout, LayoutBuilder, Outcome, PodKey, PodLabels, PodUpdate, Reader,
    Recorder, Scheme, Timestamp, Writer, open,
};

const WINDOW: Duration = Duration::from_secs(60);

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        scheme: Scheme::Http,
        address: IpAddr::from([10, 0, 0, 1]),
        port,
        path: "/metrics".into(),
        terms: 0,
    }
}

fn update(name: &str, uid: &str, ports: &[u16]) -> PodUpdate {
    PodUpdate {
        key: PodKey::new("shop", name),
        uid: uid.into(),
        labels: PodLabels::from_iter([("app", "worker")]),
        node: None,
        endpoints: Ok(ports.iter().map(|port| endpoint(*port)).collect()),
    }
}

fn layout(series: &[(&str, Kind, &str)]) -> Layout {
    let mut layout = LayoutBuilder::default();
    for (name, kind, code) in series {
        layout.push(name, *kind, [("code", *code)]);
    }
    layout.build()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A store with one pod and the recorder of its one target.
fn one_target(config: Config) -> (Writer, Reader, Recorder) {
    let (mut writer, reader) = open(config);
    let recorder = writer.apply(update("worker-0", "a", &[8080])).started.pop().unwrap();
    (writer, reader, recorder)
}

fn record(recorder: &mut Recorder, layout: &Arc<Layout>, values: &[f64], seconds: i64) {
    recorder.record(layout, values, &[], at(seconds), Outcome::default()).unwrap();
}

fn increase(recorder: &Recorder, series: u32) -> Option<Increase> {
    recorder.target().page(|page| page.increase(series, WINDOW)).unwrap()
}
