//! One run: waits for calm, orders, looks on until the loop has closed, counts, and writes the report.

use super::accounting::{self, Order};
use super::api::Api;
use super::folder::{Folder, shown};
use super::plan::{self, Milestone, Progress};
use super::record::{Decision, Record, Sample, Trouble};
use super::screen::Screen;
use super::stuck::{Stuck, log_of, stuck_pod};
use super::watch::{NAMESPACE, WORKER, Watch, of_shop};
use super::{Config, DemoError, chart, observe, report, table};
use crate::clock::{Clock, rfc3339};
use serde_json::Value;
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long a step of the start may take, or nothing may change, before it is taken for stuck. Much longer than anything
/// takes: a machine that is busy is no failure.
const STEP: Duration = Duration::from_secs(300);
/// How often a step of the start is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long the last lines of the logs may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(60);
/// How many samples are taken after one worker is left.
const REST: usize = 3;
/// The most samples that are kept: more than half an hour of them.
const MAX_SAMPLES: usize = 4_000;

/// Waits for steps of the start.
pub(super) struct Waiter<'a> {
    pub(super) screen: &'a mut Screen,
    /// Where the pods' logs are.
    pub(super) logs: &'a Path,
    pub(super) stuck: Stuck,
}

/// A run that has everything that it needs.
pub(super) struct Run<'a> {
    config: &'a Config,
    folder: &'a Folder,
    screen: &'a mut Screen,
    watch: Watch,
    /// When the whole run began, and when it must be over.
    started: Instant,
    deadline: Option<Instant>,
    /// When the order was placed; before that, when the run began.
    origin: Instant,
    rows: table::Rows,
    record: Record,
    progress: Progress,
    orders: Vec<Order>,
    stuck: Stuck,
    /// The troubles that have been told.
    told: Vec<Trouble>,
}

// === impl Waiter ===

impl Waiter<'_> {
    /// Waits until an object is as it should be.
    pub(super) async fn until(
        &mut self,
        api: &Api,
        path: &str,
        what: &str,
        is_done: impl Fn(&Value) -> bool,
    ) -> Result<(), DemoError> {
        self.screen.waiting(what);
        let deadline = Instant::now() + STEP;
        loop {
            if api.get(path).await.is_ok_and(|object| is_done(&object)) {
                return Ok(());
            }
            let pods = api.get(&format!("/api/v1/namespaces/{NAMESPACE}/pods")).await.unwrap_or_default();
            let pods: Vec<&Value> = of_shop(&pods).into_iter().map(|(_, pod)| pod).collect();
            if let Some(stuck) = self.stuck.find(&observe::troubles(&pods), Instant::now()) {
                return Err(stuck_pod(&stuck, self.logs));
            }
            if Instant::now() >= deadline {
                let look = format!("see the logs in {}", shown(self.logs));
                return Err(DemoError::Failed(format!("waited in vain for {what}; {look}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a Deployment of the shop has a pod that is ready.
    pub(super) async fn until_ready(&mut self, api: &Api, name: &str) -> Result<(), DemoError> {
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}");
        let what = format!("a pod of {name} that is ready");
        self.until(api, &path, &what, |object| object["status"]["readyReplicas"].as_u64().unwrap_or(0) > 0)
            .await
    }
}

// === impl Run ===

impl<'a> Run<'a> {
    pub(super) fn new(
        config: &'a Config,
        folder: &'a Folder,
        screen: &'a mut Screen,
        watch: Watch,
        cluster: &str,
        started: Instant,
    ) -> Self {
        let rows = table::Rows::new(15.0 / f64::from(config.pace));
        let record = Record { cluster: cluster.to_owned(), pace: config.pace, ..Record::default() };
        Self {
            config,
            folder,
            screen,
            watch,
            started,
            deadline: config.patience().map(|patience| started + patience),
            origin: Instant::now(),
            rows,
            record,
            progress: Progress::default(),
            orders: Vec::new(),
            stuck: Stuck::default(),
            told: Vec::new(),
        }
    }

    /// From the order until one worker is left, and the count of the orders.
    pub(super) async fn close_the_loop(&mut self) -> Result<(), DemoError> {
        self.calm().await?;
        self.order().await?;
        self.screen.line("");
        self.screen.line(&table::head(self.screen.look()));
        loop {
            let (sample, decisions) = self.look().await;
            self.show(&sample, &decisions);
            if self.progress.observe(&sample) == Some(Milestone::Closed) {
                break;
            }
            let stuck = self.stuck.find(&sample.troubles, Instant::now());
            if let Some(stuck) = stuck.filter(|_| self.config.once) {
                return Err(stuck_pod(&stuck, &self.folder.logs()));
            }
            if self.is_late() {
                let missing = self.progress.missing().unwrap_or_default();
                return Err(DemoError::Failed(missing));
            }
            if self.progress.has_missed(&sample, self.record.items.into()) {
                self.screen.line("        the queue was empty before a second worker was ready: once more");
                self.order_again().await?;
            }
            tokio::time::sleep(self.period()).await;
        }
        // So that the report shows where it came to rest.
        for _ in 0..REST {
            tokio::time::sleep(self.period()).await;
            self.look().await;
        }
        self.count().await
    }

    /// Goes on with the table, for a visitor who buys more.
    pub(super) async fn go_on(&mut self) -> Infallible {
        loop {
            let (sample, decisions) = self.watch.look(self.origin.elapsed().as_secs_f64()).await;
            self.show(&sample, &decisions);
            tokio::time::sleep(self.period()).await;
        }
    }

    /// Writes the report and says how it went; nothing if there was no order yet.
    pub(super) fn finish(&mut self, outcome: &Result<(), DemoError>) {
        self.screen.clear();
        if self.orders.is_empty() {
            return;
        }
        self.record.missing = outcome.as_ref().err().map(|error| match error {
            DemoError::Interrupted => "the run was interrupted".to_owned(),
            other => other.to_string(),
        });
        let json = serde_json::to_string(&self.record).unwrap_or_default();
        let written = self.folder.write("run.json", &json);
        let written = written.and_then(|_| self.folder.write("report.html", &report::render(&self.record)));
        if outcome.is_ok() {
            let (most, at) = (self.progress.most, self.progress.closed_at.unwrap_or_default());
            let summary = self.record.account.as_ref().map(accounting::Account::summary).unwrap_or_default();
            self.screen.line("");
            self.screen.line(&chart::draw(&self.record));
            self.screen
                .line(&format!("The loop has closed in {at:.0} s: worker 1 -> {most} -> 1; {summary}."));
            let seconds = self.started.elapsed().as_secs();
            self.screen.line(&format!("  time     {seconds} s since the start"));
        }
        match written {
            Ok(path) => self.screen.line(&format!("  report   {}", shown(&path))),
            Err(error) => self.screen.line(&format!("  no report: {error}")),
        }
    }

    pub(super) fn screen(&mut self) -> &mut Screen {
        self.screen
    }

    /// Waits until everything stands still.
    async fn calm(&mut self) -> Result<(), DemoError> {
        let deadline = Instant::now() + STEP;
        loop {
            let (sample, _) = self.look().await;
            if plan::is_calm(&sample) {
                let detail = format!("messages = {:.0}", sample.served.map_or(0.0, |served| served.value));
                self.screen
                    .done("all is calm", &format!("one worker, an empty queue, {detail} from podgauge"));
                return Ok(());
            }
            let lacks = plan::unrest(&sample);
            if let Some(stuck) = self.stuck.find(&sample.troubles, Instant::now()) {
                return Err(stuck_pod(&stuck, &self.folder.logs()));
            }
            if Instant::now() >= deadline {
                return Err(DemoError::Failed(format!("before the order there was to be {lacks}")));
            }
            self.screen.waiting(&lacks);
            tokio::time::sleep(self.period()).await;
        }
    }

    async fn order(&mut self) -> Result<(), DemoError> {
        let items = self.config.items;
        let order = self.buy().await?;
        let before = self.origin.elapsed().as_secs_f64();
        self.origin = Instant::now();
        self.record.samples.iter_mut().for_each(|sample| sample.at -= before);
        self.record.decisions.clear();
        self.record.items = items;
        self.record.ordered_at = rfc3339(Clock::system().now());
        self.screen.done("ordered", &format!("{items} items at the shop's page: order {}", order.id));
        self.orders.push(order);
        Ok(())
    }

    /// The same order once more; the run goes on where it was.
    async fn order_again(&mut self) -> Result<(), DemoError> {
        let order = self.buy().await?;
        self.record.items += order.items;
        self.orders.push(order);
        self.progress.begin_again();
        Ok(())
    }

    async fn buy(&self) -> Result<Order, DemoError> {
        let order = self.watch.shop.buy(self.config.items).await;
        order.map_err(|error| DemoError::Failed(error.to_string()))
    }

    /// Takes a sample, with what the autoscaler has said since the last, and keeps both.
    async fn look(&mut self) -> (Sample, Vec<Decision>) {
        let (sample, decisions) = self.watch.look(self.origin.elapsed().as_secs_f64()).await;
        if self.record.samples.len() < MAX_SAMPLES {
            self.record.samples.push(sample.clone());
            self.record.decisions.extend_from_slice(&decisions);
        }
        (sample, decisions)
    }

    /// Shows a sample: as a row if it is worth one, as the line that is written over in any case.
    fn show(&mut self, sample: &Sample, decisions: &[Decision]) {
        let look = self.screen.look();
        let row = table::row(sample, u64::from(self.config.items), look);
        if self.rows.wants(sample) {
            self.screen.line(&row);
        }
        for decision in decisions {
            self.screen.line(&table::decision(decision, look));
        }
        for trouble in &sample.troubles {
            if !self.told.contains(trouble) {
                self.screen.line(&table::shortened(&format!("        ! {}", trouble.text()), table::WIDTH));
                let log = shown(&log_of(trouble, &self.folder.logs()));
                if self.config.is_local() {
                    self.screen.line(&format!("          its log: {log}"));
                }
                self.told.push(trouble.clone());
            }
        }
        self.screen.live(&row);
    }

    /// Counts the orders. The logs' last lines may take a moment to arrive.
    async fn count(&mut self) -> Result<(), DemoError> {
        let patience = Instant::now() + LAST_LINES;
        loop {
            let logs = self.watch.logs.read(NAMESPACE, WORKER, &self.watch.alive);
            let logs =
                logs.map_err(|error| DemoError::Failed(format!("the orders cannot be counted: {error}")))?;
            let account = accounting::account(&self.orders, &logs);
            let is_right = account.is_right();
            let summary = account.summary();
            self.record.account = Some(account);
            if is_right {
                return Ok(());
            }
            if Instant::now() >= patience {
                return Err(DemoError::Failed(format!("{summary}; see {}", shown(&self.folder.logs()))));
            }
            tokio::time::sleep(self.period()).await;
        }
    }

    fn is_late(&self) -> bool {
        let is_over =
            |deadline| Instant::now() >= deadline || self.progress.still_for() >= STEP.as_secs_f64();
        self.deadline.is_some_and(is_over)
    }

    /// The time between two samples.
    fn period(&self) -> Duration {
        Duration::from_millis(2_500 / u64::from(self.config.pace))
            .clamp(Duration::from_millis(200), Duration::from_secs(1))
    }
}
