//! `podgauge compare --with URL`: whether another adapter says the same, for all that autoscalers ask.

mod quantity;
mod question;
mod report;
mod side;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use self::{
    question::questions,
    report::{Row, Verdict},
    side::{Place, Side},
};
use crate::cluster;

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The other adapter: its URL, such as that of a port-forward, or the version of custom.metrics.k8s.io that leads to
    /// it on the cluster, such as v1beta1. A certificate is not verified if the URL leads to this machine.
    #[arg(long, value_name = "URL|VERSION")]
    with: Place,
    /// podgauge, in the same way [default: the version that the cluster prefers].
    #[arg(long, value_name = "URL|VERSION")]
    podgauge: Option<Place>,
    /// The kubeconfig of the cluster; its credentials are sent to URLs as well [default: $KUBECONFIG, ~/.kube/config, or
    /// the pod's service account].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Look at the autoscalers of this namespace alone [default: of all].
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// How far values may be apart and still be called the same, in percent of the larger one. The HPA does nothing
    /// within 10.
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = percent)]
    tolerance: f64,
    /// How to print.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value = "table")]
    output: Output,
}

/// How to print.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

// === impl CompareArgs ===

impl CompareArgs {
    pub(super) fn run(&self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let rows =
            runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(self.rows()));
        // Whoever closed the streams has seen enough, so that a failed write is no failure.
        let rows = match rows {
            Ok(rows) => rows,
            Err(why) => {
                let _ = writeln!(io::stderr(), "podgauge: {why}");
                return ExitCode::from(2);
            }
        };
        let text = match self.output {
            Output::Table => report::table(&rows),
            Output::Json => report::json(&rows),
        };
        let _ = io::stdout().write_all(text.as_bytes());
        match rows.iter().map(|row| row.verdict.severity()).max() {
            None | Some(0) => ExitCode::SUCCESS,
            Some(severity) => ExitCode::from(severity),
        }
    }

    async fn rows(&self) -> Result<Vec<Row>, String> {
        let config = match &self.kubeconfig {
            Some(file) => cluster::of_file(file).await.map_err(|error| error.to_string())?,
            None => kube::Config::infer().await.map_err(|error| error.to_string())?,
        };
        let client = kube::Client::try_from(config.clone()).map_err(|error| error.to_string())?;
        let ours =
            Side::build(&config, self.podgauge.as_ref()).await.map_err(|why| format!("podgauge: {why}"))?;
        let theirs = Side::build(&config, Some(&self.with)).await.map_err(|why| format!("--with: {why}"))?;
        let mut rows = Vec::new();
        for asked in questions(&client, self.namespace.as_deref()).await? {
            let answers = match &asked.question {
                Ok(question) => tokio::try_join!(
                    async { ours.values(question).await.map_err(|why| format!("podgauge: {why}")) },
                    async { theirs.values(question).await.map_err(|why| format!("the other: {why}")) },
                ),
                Err(why) => Err(why.clone()),
            };
            let row = |object: &str, ours, theirs, verdict| Row {
                autoscaler: asked.autoscaler.clone(),
                metric: asked.metric.clone(),
                object: object.to_owned(),
                ours,
                theirs,
                verdict,
            };
            match answers {
                Err(why) => rows.push(row("", None, None, Verdict::Failed(why))),
                Ok((ours, theirs)) if ours.is_empty() && theirs.is_empty() => {
                    rows.push(row("", None, None, Verdict::Neither));
                }
                Ok((ours, theirs)) => {
                    let objects: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
                    rows.extend(objects.into_iter().map(|object| {
                        let (ours, theirs) = (ours.get(object).copied(), theirs.get(object).copied());
                        row(object, ours, theirs, Verdict::of(ours, theirs, self.tolerance))
                    }));
                }
            }
        }
        Ok(rows)
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}
