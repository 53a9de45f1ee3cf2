//! `podgauge promql test FILE...`: runs test scripts.

use std::{
    fs::File,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use podgauge_promql::{
    Config, Dialect,
    promqltest::{self, Messages, Options},
};

/// The largest script, in bytes.
const SCRIPT_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum PromqlCommand {
    /// Run test scripts in the format of Prometheus' promqltest: load series, evaluate expressions, compare.
    ///
    /// Prints FILE:LINE: and what is wrong for each evaluation that is not as expected, and how many were right. Exits
    /// with 1 if any was wrong, with 2 if a file could not be read.
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// The scripts.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whose answers are right where versions of Prometheus differ.
    #[arg(long, value_name = "VERSION", default_value = "3")]
    dialect: Version,
    /// Ask only whether there is an error, a warning or an info, whatever its words are: for scripts that expect others'.
    #[arg(long)]
    ignore_messages: bool,
}

/// A version of Prometheus.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    #[value(name = "2")]
    Two,
    #[value(name = "3")]
    Three,
}

// === impl PromqlCommand ===

impl PromqlCommand {
    pub(super) fn run(&self) -> ExitCode {
        let Self::Test(args) = self;
        args.run(&mut io::stdout().lock(), &mut io::stderr().lock())
    }
}

// === impl TestArgs ===

impl TestArgs {
    fn run(&self, out: &mut impl Write, err: &mut impl Write) -> ExitCode {
        let dialect = match self.dialect {
            Version::Two => Dialect::Prometheus2,
            Version::Three => Dialect::Prometheus3,
        };
        let messages = if self.ignore_messages { Messages::Ignore } else { Messages::Compare };
        let options = Options { config: Config { dialect, ..Config::default() }, messages };
        let (mut passed, mut failed, mut unread) = (0, 0, 0);
        // Whoever closed the streams has seen enough, so that a failed write is no failure.
        for file in &self.files {
            match read(file) {
                Ok(script) => {
                    let report = promqltest::run(&script, &options);
                    passed += report.passed;
                    failed += report.failures.len();
                    for failure in report.failures {
                        let _ = writeln!(out, "{}:{failure}", file.display());
                    }
                }
                Err(error) => {
                    unread += 1;
                    let _ = writeln!(err, "podgauge: {}: {error}", file.display());
                }
            }
        }
        let _ = writeln!(out, "{passed} passed, {failed} failed");
        match (failed, unread) {
            (0, 0) => ExitCode::SUCCESS,
            (_, 0) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut script = String::new();
    File::open(path)?.take(SCRIPT_BYTES + 1).read_to_string(&mut script)?;
    if script.len() as u64 > SCRIPT_BYTES {
        return Err(io::Error::other(format!("the script has more than {SCRIPT_BYTES} bytes; split it")));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_run_and_reported() {
        let path = std::env::temp_dir().join(format!("podgauge-promql-{}.test", std::process::id()));
        let check = |script: &str, args: TestArgs, want_out: &str, want: ExitCode| {
            std::fs::write(&path, script).unwrap();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let code = args.run(&mut out, &mut err);
            let out = String::from_utf8(out).unwrap().replace(&path.display().to_string(), "FILE");
            assert_eq!(out, want_out);
            assert_eq!(format!("{code:?}"), format!("{want:?}"));
        };
        let args = |dialect: Version, ignore_messages: bool| TestArgs {
            files: vec![path.clone()],
            dialect,
            ignore_messages,
        };
        let right = "eval instant at 0 1 + 1\n  2\n";
        check(right, args(Version::Three, false), "1 passed, 0 failed\n", ExitCode::SUCCESS);
        let wrong = "\neval instant at 0 1 + 1\n  3\n";
        let said = "FILE:2: 1 + 1: expected 3, got 2\n0 passed, 1 failed\n";
        check(wrong, args(Version::Three, false), said, ExitCode::FAILURE);
        let window = "load 1m\n  m 1 2\n\neval instant at 1m count_over_time(m[1m])\n  {} 2\n";
        check(window, args(Version::Two, false), "1 passed, 0 failed\n", ExitCode::SUCCESS);
        let words = "eval instant at 0 1 +\n  expect fail msg: other words\n";
        check(words, args(Version::Three, true), "1 passed, 0 failed\n", ExitCode::SUCCESS);
        std::fs::remove_file(&path).unwrap();
        check_missing(args(Version::Three, false));
    }

    fn check_missing(args: TestArgs) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = args.run(&mut out, &mut err);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
        assert!(String::from_utf8(err).unwrap().contains("No such file"));
    }
}
