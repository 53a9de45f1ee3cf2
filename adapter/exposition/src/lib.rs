//! Prometheus text and OpenMetrics pages: bytes to samples.
//!
//! For whoever scrapes: [`Page::parse`] reads a page that was never seen before, [`Template::read`] one whose layout is
//! known, and [`Scanner`] is the loop beneath the former for those who need no page.
//!
//! # Promises
//! - Nothing that a page holds makes it panic, allocate beyond [`Limits`] and the page's own length, or take longer than
//!   reading its lines and sorting them does.
//! - A malformed line is skipped and counted, with its number and what is wrong with it. The rest of the page counts.
//!   Nothing is lost or altered silently.
//! - A page that is known to be incomplete is refused as a whole: an OpenMetrics page without `# EOF`, or one that goes
//!   on after it, or one with too many series.
//! - A template and a full parse never disagree.
//!
//! # What is accepted
//! Text 0.0.4 and OpenMetrics 1.0, read leniently where Prometheus is lenient: blanks and tabs between any two tokens,
//! CRLF, a byte order mark, no line feed at the end of the last line, a trailing comma, empty braces, quoted UTF-8
//! names, unknown escapes (which stand for themselves), exemplars and start timestamps (which are ignored), `# TYPE`
//! lines that come late, twice (the last counts) or for interleaved families. Labels with an empty value are kept as
//! they are.
//!
//! # Left to others
//! Fetching, decompression and the limit on a page's bytes; time (a sample without a timestamp was taken when it was
//! fetched); what a histogram or a counter is good for.

mod classify;
mod cursor;
mod duplicates;
mod family;
mod format;
mod labels;
mod limits;
mod line;
mod number;
mod page;
mod reject;
mod scan;
mod template;
mod text_hash;
mod timestamp;
mod values;

pub use self::{
    family::{Family, FamilyType, Role},
    format::Format,
    labels::Label,
    limits::Limits,
    line::{Line, SampleLine},
    number::parse_number,
    page::{Page, PageError, Sample},
    reject::{Reason, Rejected, Rejection},
    scan::Scanner,
    template::Template,
    values::Values,
};
