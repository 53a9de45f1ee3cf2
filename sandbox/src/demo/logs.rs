//! The workers' logs: from the folder in which a sandbox keeps them, or followed through the API while their pods live.

use super::accounting::WorkerLog;
use super::api::Api;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// How much of one worker's log is kept, in bytes.
const MAX_LOG: usize = 4 << 20;
/// The wait before a log that does not come is asked for again.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is asked for.
const TRIES: usize = 30;

/// Where the logs come from.
pub(super) enum Logs {
    /// The folder of a sandbox's node: `NAMESPACE_POD/CONTAINER/RUN.log`.
    Folder(PathBuf),
    /// The API server's `pods/log`, which forgets a pod's log with the pod.
    Followed(Followed),
}

/// Logs that are followed.
pub(super) struct Followed {
    api: Api,
    namespace: String,
    texts: Arc<Mutex<BTreeMap<(String, u64), Text>>>,
    tasks: JoinSet<()>,
}

/// What has come of a log.
#[derive(Debug, Default)]
struct Text {
    text: String,
    ended: bool,
    /// Why nothing came.
    error: Option<String>,
}

// === impl Logs ===

impl Logs {
    /// Takes notice of the workers' pods.
    pub(super) fn notice(&mut self, pods: &[&Value], container: &str) {
        if let Self::Followed(followed) = self {
            followed.notice(pods, container);
        }
    }

    /// What the workers of Deployment `name` wrote, run by run. `alive` are the pods that still run.
    pub(super) fn read(
        &self,
        namespace: &str,
        name: &str,
        alive: &[String],
    ) -> Result<Vec<WorkerLog>, String> {
        match self {
            Self::Folder(folder) => {
                let prefix = format!("{namespace}_{name}-");
                in_folder(folder, &prefix, name, alive)
                    .map_err(|error| format!("cannot read {}: {error}", folder.display()))
            }
            Self::Followed(followed) => followed.read(alive),
        }
    }
}

fn in_folder(
    folder: &Path,
    prefix: &str,
    container: &str,
    alive: &[String],
) -> std::io::Result<Vec<WorkerLog>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pod) = name.starts_with(prefix).then(|| name.split_once('_')).flatten() else { continue };
        let mut runs = BTreeMap::new();
        for file in std::fs::read_dir(entry.path().join(container))? {
            let path = file?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Some((run, kind)) = name.split_once('.') else { continue };
            let Ok(run) = run.parse::<u64>() else { continue };
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            let (older, newer): &mut (String, String) = runs.entry(run).or_default();
            *(if kind == "log.1" { older } else { newer }) = text;
        }
        let last = runs.keys().next_back().copied();
        for (run, (older, newer)) in runs {
            let runs = Some(run) == last && alive.iter().any(|alive| alive == pod.1);
            logs.push(WorkerLog { pod: pod.1.to_owned(), text: older + &newer, runs });
        }
    }
    Ok(logs)
}

// === impl Followed ===

impl Followed {
    pub(super) fn new(api: Api, namespace: &str) -> Self {
        Self { api, namespace: namespace.to_owned(), texts: Arc::default(), tasks: JoinSet::new() }
    }

    fn notice(&mut self, pods: &[&Value], container: &str) {
        while self.tasks.try_join_next().is_some() {}
        for pod in pods {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let statuses = pod["status"]["containerStatuses"].as_array();
            let Some(status) = statuses.and_then(|all| all.iter().find(|one| one["name"] == container))
            else {
                continue;
            };
            if status["state"]["running"].is_null() {
                continue;
            }
            let run = (name.clone(), status["restartCount"].as_u64().unwrap_or(0));
            let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
            if texts.contains_key(&run) {
                continue;
            }
            texts.insert(run.clone(), Text::default());
            drop(texts);
            let path = format!(
                "/api/v1/namespaces/{}/pods/{name}/log?container={container}&follow=true",
                self.namespace
            );
            self.tasks.spawn(follow(self.api.clone(), path, run, self.texts.clone()));
        }
    }

    fn read(&self, alive: &[String]) -> Result<Vec<WorkerLog>, String> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut logs = Vec::new();
        for ((pod, run), text) in texts.iter() {
            if let Some(error) = text.error.as_ref().filter(|_| text.text.is_empty()) {
                return Err(format!("cannot read the log of pod {pod}: {error}"));
            }
            let is_last = !texts.contains_key(&(pod.clone(), run + 1));
            let runs = is_last && !text.ended && alive.contains(pod);
            logs.push(WorkerLog { pod: pod.clone(), text: text.text.clone(), runs });
        }
        Ok(logs)
    }
}

async fn follow(
    api: Api,
    path: String,
    run: (String, u64),
    texts: Arc<Mutex<BTreeMap<(String, u64), Text>>>,
) {
    let update = |change: &dyn Fn(&mut Text)| {
        let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get_mut(&run).map(change);
    };
    for _ in 0..TRIES {
        match api.open(&path).await {
            Ok(answer) if answer.status().is_success() => {
                let mut body = answer.into_body();
                let mut begun = Vec::new();
                while let Some(Ok(frame)) = body.frame().await {
                    let Ok(bytes) = frame.into_data() else { continue };
                    begun.extend_from_slice(&bytes);
                    // Whole lines alone: a letter may be cut in two.
                    let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else { continue };
                    let rest = begun.split_off(end + 1);
                    let lines = String::from_utf8_lossy(&std::mem::replace(&mut begun, rest)).into_owned();
                    update(&|text| {
                        if text.text.len() + lines.len() <= MAX_LOG {
                            text.text.push_str(&lines);
                        }
                    });
                }
                return update(&|text| text.ended = true);
            }
            Ok(answer) => {
                update(&|text| text.error = Some(format!("the API server answered {}", answer.status())))
            }
            Err(error) => update(&|text| text.error = Some(error.to_string())),
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_of_workers_are_found_in_a_nodes_folder() {
        let folder = std::env::temp_dir().join(format!("demo-logs-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("default_backend-a/backend/0.log.1", "older\n");
        write("default_backend-a/backend/0.log", "newer\n");
        write("default_backend-a/backend/1.log", "second\n");
        write("default_backend-b/backend/0.log", "other\n");
        write("default_frontend-c/frontend/0.log", "not a worker\n");
        let mut logs =
            Logs::Folder(folder.clone()).read("default", "backend", &["backend-a".into()]).unwrap();
        logs.sort_by(|one, other| one.text.cmp(&other.text));
        let log = |pod: &str, text: &str, runs| WorkerLog { pod: pod.into(), text: text.into(), runs };
        let expected = [
            log("backend-a", "older\nnewer\n", false),
            log("backend-b", "other\n", false),
            log("backend-a", "second\n", true),
        ];
        assert_eq!(logs, expected);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
