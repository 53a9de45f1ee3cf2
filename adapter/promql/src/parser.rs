//! Tokens to a tree.
//!
//! A recursive descent with precedence climbing. Every recursion is counted and every node knows its depth, so that neither
//! nested nor chained expressions can use up the stack; each token is looked at a bounded number of times, so that the time
//! is linear in the text's length.

mod check;
mod selector;

use std::sync::Arc;

use crate::{
    AggregateOp, Config, Labels, MatchOp,
    ast::{Aggregation, At, Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Number, Shift},
    duration::LONGEST_MS,
    error::{ParseError, Span},
    function::Function,
    lexer::{Lexer, Token, TokenKind},
};

/// How tightly a sign before an expression binds: as multiplication, so that `-a ^ b` is `-(a ^ b)`.
const SIGN_PRECEDENCE: u8 = 5;

/// An expression, and how many selectors it has.
pub(crate) fn parse(text: &str, config: &Config) -> Result<(Expr, usize), ParseError> {
    let limit = config.bounds.expression_bytes;
    if text.len() > limit {
        let message = format!(
            "the expression has {} bytes, more than the {limit} that are allowed; shorten it",
            text.len()
        );
        return Err(ParseError::new(text, Span::new(0, 0), message));
    }
    let mut parser = Parser::new(text, config)?;
    if parser.token.kind == TokenKind::End {
        return Err(parser
            .error(parser.token.span, "the expression is empty; write one such as sum(metric)".to_owned()));
    }
    let expr = parser.expression(0)?;
    if parser.token.kind != TokenKind::End {
        return Err(parser.unexpected("an operator or the end of the expression"));
    }
    Ok((expr, parser.selectors))
}

/// The labels of a series that is written as a selector: `name{label="value"}`.
pub(crate) fn parse_labels(text: &str, config: &Config) -> Result<Labels, ParseError> {
    let mut parser = Parser::new(text, config)?;
    let name = (parser.token.kind == TokenKind::Word).then(|| parser.word().to_owned());
    if name.is_some() {
        parser.advance()?;
    }
    let matchers = parser.matchers(name.as_deref())?;
    if parser.token.kind != TokenKind::End {
        return Err(parser.unexpected("the end of the series' labels"));
    }
    if let Some(other) = matchers.iter().find(|matcher| matcher.op() != MatchOp::Equal) {
        let message = format!("{other} is no label; a series' labels are written with =");
        return Err(parser.error(Span::new(0, text.len()), message));
    }
    Ok(Labels::new(matchers.iter().map(|matcher| (matcher.name(), matcher.value()))))
}

/// Whether it is `without`, and its labels.
type Grouping = (bool, Vec<Arc<str>>);

struct Parser<'t> {
    text: &'t str,
    config: &'t Config,
    lexer: Lexer<'t>,
    /// The token that is looked at.
    token: Token,
    /// Where the token before it ended.
    behind: usize,
    /// How many recursions are under way.
    nesting: usize,
    selectors: usize,
    regexes: usize,
}

// === impl Parser ===

impl<'t> Parser<'t> {
    fn new(text: &'t str, config: &'t Config) -> Result<Self, ParseError> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        Ok(Self { text, config, lexer, token, behind: 0, nesting: 0, selectors: 0, regexes: 0 })
    }

    /// Operands joined by operators that bind more tightly than `loosest`.
    fn expression(&mut self, loosest: u8) -> Result<Expr, ParseError> {
        self.nesting += 1;
        if self.nesting > self.config.bounds.depth {
            return Err(self.too_deep(self.token.span));
        }
        let mut lhs = self.operand()?;
        while let Some(op) = self.operator().filter(|op| op.precedence() > loosest) {
            let op_span = self.token.span;
            self.advance()?;
            let (returns_bool, matching) = self.matching()?;
            // Powers group from the right, everything else from the left.
            let rhs = self.expression(op.precedence() - u8::from(op == BinaryOp::Power))?;
            let span = lhs.span.to(rhs.span);
            let binary = Binary {
                op,
                returns_bool,
                matching: matching.unwrap_or_default(),
                lhs: Box::new(lhs),
                rhs: Box::new(rhs),
            };
            self.check_binary(&binary, op_span)?;
            lhs = self.node(ExprKind::Binary(binary), span)?;
        }
        self.nesting -= 1;
        Ok(lhs)
    }

    /// The operator that the current token is, in a place where one can stand.
    fn operator(&self) -> Option<BinaryOp> {
        match self.token.kind {
            TokenKind::Sign(sign) => BinaryOp::from_sign(sign),
            TokenKind::Word => BinaryOp::from_sign(self.word()),
            _ => None,
        }
    }

    /// What stands between operators, with its sign before it and its modifiers behind it.
    fn operand(&mut self) -> Result<Expr, ParseError> {
        let start = self.token.span;
        let negates = self.is_sign("-");
        if negates || self.is_sign("+") {
            self.advance()?;
            let operand = self.expression(SIGN_PRECEDENCE)?;
            let span = start.to(operand.span);
            if let ExprKind::Number(Number(number)) = operand.kind {
                return self.node(ExprKind::Number(Number(if negates { -number } else { number })), span);
            }
            self.check_sign(&operand)?;
            return self.node(ExprKind::Unary { negates, operand: Box::new(operand) }, span);
        }
        let mut expr = self.primary()?;
        loop {
            expr = if self.is_sign("[") {
                self.range(expr)?
            } else if self.is_word("offset") || self.is_sign("@") {
                self.shift(expr)?
            } else {
                return Ok(expr);
            };
        }
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let span = self.token.span;
        match self.token.kind.clone() {
            TokenKind::Number(number) => {
                self.advance()?;
                self.node(ExprKind::Number(Number(number)), span)
            }
            TokenKind::Duration(millis) => {
                self.advance()?;
                self.node(ExprKind::Number(Number(millis as f64 / 1_000.0)), span)
            }
            TokenKind::Text(text) => {
                self.advance()?;
                self.node(ExprKind::Text(text.into()), span)
            }
            TokenKind::Sign("(") => {
                self.advance()?;
                let inner = self.expression(0)?;
                let span = span.to(self.expect(")", "a closing parenthesis")?);
                self.node(ExprKind::Paren(Box::new(inner)), span)
            }
            TokenKind::Sign("{") => self.selector(None, span),
            TokenKind::Word => self.name(span),
            TokenKind::Sign(_) | TokenKind::End => {
                Err(self
                    .unexpected("a metric, a number, a function, an aggregation or an opening parenthesis"))
            }
        }
    }

    /// What begins with a name: a number, an aggregation, a call or a selector.
    fn name(&mut self, span: Span) -> Result<Expr, ParseError> {
        let name = self.word().to_owned();
        if let Some(number) = crate::number::parse_number(&name) {
            self.advance()?;
            return self.node(ExprKind::Number(Number(number)), span);
        }
        self.advance()?;
        let called = self.is_sign("(");
        if called || self.is_word("by") || self.is_word("without") {
            if let Some(op) = AggregateOp::from_name(&name) {
                return self.aggregation(op, span);
            }
            if let Some(instead) = Function::unsupported(&name.to_ascii_lowercase()) {
                return Err(self.error(span, format!("{name} is not supported: {instead}")));
            }
        }
        if called { self.call(&name, span) } else { self.selector(Some(&name), span) }
    }

    fn aggregation(&mut self, op: AggregateOp, span: Span) -> Result<Expr, ParseError> {
        let before = self.grouping()?;
        let arguments_at = self.token.span;
        let mut arguments = self.arguments()?;
        let grouping = match (before, self.grouping()?) {
            (Some(_), Some(_)) => {
                let message = format!("{} is grouped twice; write by or without once", op.name());
                return Err(self.error(Span::new(arguments_at.start, self.behind), message));
            }
            (before, behind) => before.or(behind),
        };
        let span = Span::new(span.start, self.behind);
        let wanted = 1 + usize::from(op.parameter_type().is_some());
        if arguments.len() != wanted {
            let how = match op.parameter_type() {
                Some(of) => format!("{}({}, instant vector)", op.name(), of.name()),
                None => format!("{}(instant vector)", op.name()),
            };
            let message =
                format!("{} takes {wanted} argument(s), not {}; write {how}", op.name(), arguments.len());
            return Err(self.error(span, message));
        }
        let operand = arguments.pop().map(Box::new);
        let parameter = arguments.pop().map(Box::new);
        let Some(operand) = operand else { return Err(self.unexpected("an instant vector")) };
        let (without, labels) = grouping.unwrap_or_default();
        let aggregation = Aggregation { op, without, labels, parameter, operand };
        self.check_aggregation(&aggregation)?;
        self.node(ExprKind::Aggregation(aggregation), span)
    }

    /// `by (...)` or `without (...)`, if it stands here.
    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.advance()?;
        Ok(Some((without, self.label_names()?)))
    }

    fn call(&mut self, name: &str, span: Span) -> Result<Expr, ParseError> {
        let Some(function) = Function::find(name) else { return Err(self.unknown_function(name, span)) };
        let arguments = self.arguments()?;
        let span = Span::new(span.start, self.behind);
        self.check_call(function, &arguments, span)?;
        self.node(ExprKind::Call { function, arguments }, span)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, ParseError> {
        self.expect("(", "an opening parenthesis and arguments")?;
        let mut arguments = Vec::new();
        if self.is_sign(")") {
            self.advance()?;
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            self.check_list(arguments.len())?;
            if self.is_sign(",") {
                self.advance()?;
                if self.is_sign(")") {
                    return Err(
                        self.unexpected("another argument; arguments have no comma behind the last one")
                    );
                }
            } else {
                self.expect(")", "a comma or a closing parenthesis")?;
                return Ok(arguments);
            }
        }
    }

    /// What may stand behind a binary operator: `bool`, `on (...)`, `group_left (...)`.
    fn matching(&mut self) -> Result<(bool, Option<Matching>), ParseError> {
        let returns_bool = self.is_word("bool");
        if returns_bool {
            self.advance()?;
        }
        for word in ["fill", "fill_left", "fill_right"] {
            if self.is_word(word) && self.followed_by_parenthesis() {
                let instead =
                    "it is experimental; write (a or b * 0) in place of the side that may be missing";
                return Err(self.error(self.token.span, format!("{word} is not supported: {instead}")));
            }
        }
        let on = self.is_word("on");
        if !on && !self.is_word("ignoring") {
            if self.is_word("group_left") || self.is_word("group_right") {
                let message = format!("{} needs on (...) or ignoring (...) before it", self.word());
                return Err(self.error(self.token.span, message));
            }
            return Ok((returns_bool, None));
        }
        self.advance()?;
        let labels = self.label_names()?;
        let cardinality = if self.is_word("group_left") {
            Cardinality::ManyToOne
        } else if self.is_word("group_right") {
            Cardinality::OneToMany
        } else {
            return Ok((returns_bool, Some(Matching { on, labels, ..Matching::default() })));
        };
        self.advance()?;
        let include = if self.is_sign("(") { self.label_names()? } else { Vec::new() };
        Ok((returns_bool, Some(Matching { on, labels, cardinality, include })))
    }

    /// Labels between parentheses; a comma may stand behind the last one.
    fn label_names(&mut self) -> Result<Vec<Arc<str>>, ParseError> {
        self.expect("(", "label names between parentheses")?;
        let mut names = Vec::new();
        while !self.is_sign(")") {
            names.push(self.label_name()?);
            self.check_list(names.len())?;
            if self.is_sign(",") {
                self.advance()?;
            } else if !self.is_sign(")") {
                return Err(self.unexpected("a comma or a closing parenthesis"));
            }
        }
        self.advance()?;
        Ok(names)
    }

    fn label_name(&mut self) -> Result<Arc<str>, ParseError> {
        let name: Arc<str> = match &self.token.kind {
            TokenKind::Word if crate::labels::is_label_name(self.word()) => Arc::from(self.word()),
            TokenKind::Text(name) if !name.is_empty() => Arc::from(name.as_str()),
            _ => {
                return Err(self
                    .unexpected("a label's name, with quotes if it is not letters, digits and underscores"));
            }
        };
        self.advance()?;
        Ok(name)
    }

    /// A duration, or a number of seconds, in milliseconds.
    fn duration(&mut self, what: &str) -> Result<i64, ParseError> {
        let millis = match self.token.kind {
            TokenKind::Duration(millis) => millis,
            TokenKind::Number(seconds) => {
                let millis = (seconds * 1_000.0).round();
                if !(0.0..=LONGEST_MS as f64).contains(&millis) {
                    return Err(self
                        .error(self.token.span, format!("{what} is out of range; 292 years are the most")));
                }
                millis as i64
            }
            TokenKind::Word if self.followed_by_parenthesis() => {
                let message = format!(
                    "computed durations are experimental and not supported; write {what} as 5m or 1h30m"
                );
                return Err(self.error(self.token.span, message));
            }
            _ => return Err(self.unexpected(&format!("{what}, a duration such as 5m or 1h30m"))),
        };
        self.advance()?;
        if let TokenKind::Sign("+" | "-" | "*" | "/" | "%" | "^") = self.token.kind
            && self.lexer.in_brackets()
        {
            let message = format!(
                "computed durations are experimental and not supported; write {what} as one duration"
            );
            return Err(self.error(self.token.span, message));
        }
        Ok(millis)
    }

    /// Whether a list may have so many entries.
    fn check_list(&self, entries: usize) -> Result<(), ParseError> {
        let limit = self.config.bounds.list;
        if entries <= limit {
            return Ok(());
        }
        Err(self.error(self.token.span, format!("the list has more than {limit} entries; shorten it")))
    }

    /// A node around what was read, unless it is too deep.
    fn node(&self, kind: ExprKind, span: Span) -> Result<Expr, ParseError> {
        let deepest = match &kind {
            ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Selector(_) | ExprKind::Range { .. } => 0,
            ExprKind::Subquery { operand, .. }
            | ExprKind::Unary { operand, .. }
            | ExprKind::Paren(operand) => operand.depth,
            ExprKind::Binary(binary) => binary.lhs.depth.max(binary.rhs.depth),
            ExprKind::Aggregation(aggregation) => aggregation
                .operand
                .depth
                .max(aggregation.parameter.as_ref().map_or(0, |parameter| parameter.depth)),
            ExprKind::Call { arguments, .. } => {
                arguments.iter().map(|argument| argument.depth).max().unwrap_or(0)
            }
        };
        let depth = deepest + 1;
        if depth > self.config.bounds.depth {
            return Err(self.too_deep(span));
        }
        Ok(Expr { kind, span, depth })
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.behind = self.token.span.end;
        self.token = self.lexer.next()?;
        Ok(())
    }

    /// Steps over `sign`, and says where it stood.
    fn expect(&mut self, sign: &'static str, what: &str) -> Result<Span, ParseError> {
        let span = self.token.span;
        if !self.is_sign(sign) {
            return Err(self.unexpected(what));
        }
        self.advance()?;
        Ok(span)
    }

    /// The text of the current token.
    fn word(&self) -> &'t str {
        self.text.get(self.token.span.start..self.token.span.end).unwrap_or_default()
    }

    fn is_word(&self, word: &str) -> bool {
        self.token.kind == TokenKind::Word && self.word().eq_ignore_ascii_case(word)
    }

    fn is_sign(&self, sign: &'static str) -> bool {
        self.token.kind == TokenKind::Sign(sign)
    }

    fn followed_by_parenthesis(&self) -> bool {
        self.text.get(self.token.span.end..).unwrap_or_default().trim_start().starts_with('(')
    }

    fn error(&self, span: Span, message: String) -> ParseError {
        ParseError::new(self.text, span, message)
    }

    fn too_deep(&self, span: Span) -> ParseError {
        let limit = self.config.bounds.depth;
        self.error(span, format!("the expression is nested or chained more than {limit} deep; split it"))
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match self.token.kind {
            TokenKind::End => "the expression ends".to_owned(),
            _ => format!("{:?} stands", self.word()),
        };
        self.error(self.token.span, format!("{found} where {wanted} should be"))
    }

    fn unknown_function(&self, name: &str, span: Span) -> ParseError {
        let names = Function::all().iter().map(|function| function.name).chain(AggregateOp::names());
        let near = crate::near::nearest(name, names);
        let instead = near.map_or_else(
            || "docs/promql.md lists those that are".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        self.error(span, format!("no function or aggregation is called {name}; {instead}"))
    }
}

/// The instant of an `@`, in seconds, if it is one that can be meant.
fn instant(seconds: f64) -> Option<At> {
    let millis = (seconds * 1_000.0).round();
    (millis.abs() <= LONGEST_MS as f64).then_some(At::Time(millis as i64))
}

/// What a shift looks like before anything moved it.
const UNMOVED: Shift = Shift { offset_ms: 0, at: None };
