//! The format of recorded sessions.

/// A recorded session.
pub(crate) struct Golden {
    /// What stands before the first command: comments.
    head: String,
    pub(crate) steps: Vec<Step>,
}

/// One command and what it printed.
pub(crate) struct Step {
    /// Comments in front of it.
    comment: String,
    /// For a shell; may have several lines.
    pub(crate) command: String,
    usual: String,
    /// Versions, and what they printed instead.
    others: Vec<(Vec<String>, String)>,
}

/// What one kubectl printed in a whole session.
pub(crate) struct Variant {
    /// Such as `1.33`.
    pub(crate) version: String,
    pub(crate) outputs: Vec<String>,
}

// === impl Golden ===

impl Golden {
    pub(crate) fn parse(text: &str) -> Self {
        let mut golden = Self { head: String::new(), steps: Vec::new() };
        let mut comment = String::new();
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                let (comment, command) = (std::mem::take(&mut comment), command.to_owned());
                golden.steps.push(Step { comment, command, usual: String::new(), others: Vec::new() });
            } else if line.starts_with("# ") || (line.is_empty() && golden.steps.is_empty()) {
                match golden.steps.is_empty() {
                    true => push_line(&mut golden.head, line),
                    false => push_line(&mut comment, line),
                }
            } else if let Some(step) = golden.steps.last_mut() {
                step.parse_line(line);
            }
        }
        golden
    }

    /// The same commands with these outputs; the last variant is the usual one.
    pub(crate) fn with(&self, variants: &[Variant]) -> Self {
        let step = |(index, step): (usize, &Step)| {
            let usual = variants.last().map(|variant| variant.outputs[index].clone()).unwrap_or_default();
            let mut others: Vec<(Vec<String>, String)> = Vec::new();
            for variant in variants.iter().filter(|variant| variant.outputs[index] != usual) {
                let output = &variant.outputs[index];
                match others.iter_mut().find(|(_, other)| other == output) {
                    Some((versions, _)) => versions.push(variant.version.clone()),
                    None => others.push((vec![variant.version.clone()], output.clone())),
                }
            }
            Step { comment: step.comment.clone(), command: step.command.clone(), usual, others }
        };
        Self { head: self.head.clone(), steps: self.steps.iter().enumerate().map(step).collect() }
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = self.head.clone();
        for step in &self.steps {
            text.push_str(&step.comment);
            push_line(&mut text, &format!("$ {}", step.command.replace('\n', "\n> ")));
            text.push_str(&step.usual);
            for (versions, output) in &step.others {
                push_line(&mut text, &format!("~ {}", versions.join(" ")));
                text.push_str(output);
            }
        }
        text
    }
}

// === impl Step ===

impl Step {
    /// What this version of kubectl is to print.
    pub(crate) fn expected(&self, version: &str) -> &str {
        let own = self.others.iter().find(|(versions, _)| versions.iter().any(|v| v == version));
        own.map_or(&self.usual, |(_, output)| output)
    }

    fn parse_line(&mut self, line: &str) {
        match (line.strip_prefix("> "), line.strip_prefix("~ ")) {
            (Some(more), _) if self.usual.is_empty() && self.others.is_empty() => {
                self.command.push('\n');
                self.command.push_str(more);
            }
            (_, Some(versions)) => {
                self.others.push((versions.split(' ').map(str::to_owned).collect(), String::new()));
            }
            _ => match self.others.last_mut() {
                Some((_, output)) => push_line(output, line),
                None => push_line(&mut self.usual, line),
            },
        }
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[test]
fn sessions_are_read_as_they_are_written() {
    let text = "# head\n\n$ a\n> b\nusual\n~ 1.27 1.28\nold\n# why\n$ c\n";
    let golden = Golden::parse(text);
    assert_eq!(golden.to_text(), text);
    assert_eq!(golden.steps[0].command, "a\nb");
    assert_eq!((golden.steps[0].expected("1.27"), golden.steps[0].expected("1.33")), ("old\n", "usual\n"));
    let variant = |version: &str, output: &str| {
        let (version, outputs) = (version.to_owned(), vec![output.to_owned(), String::new()]);
        Variant { version, outputs }
    };
    let again =
        golden.with(&[variant("1.27", "old\n"), variant("1.28", "old\n"), variant("1.29", "usual\n")]);
    assert_eq!(again.to_text(), text);
}
