//! `bulkhead history`.

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Done, shown};
use crate::Context;
use crate::output::durations::human_duration;
use crate::output::ellipsis::ellipsis;
use crate::output::format::{QUIET_WARNING, Row, Table, is_overridden, print_rows};
use crate::output::units::human_size_with;

/// Show how an image came to be
#[derive(Debug, clap::Args)]
pub struct History {
    /// A Go template, "table TEMPLATE" or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show sizes and times as people read them
    #[arg(
        short = 'H',
        long,
        num_args = 0..=1,
        default_value_t = true,
        default_missing_value = "true",
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    human: bool,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Show IDs only
    #[arg(short, long)]
    quiet: bool,
    /// The image, by name or ID
    image: String,
}

const TABLE: Table<'static> = Table {
    format: "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    quiet: "{{.ID}}",
    raw: None,
    headers: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    shapes: &[],
    type_name: "*formatter.historyContext",
};

/// Docker's widths.
const CREATED_BY: usize = 45;

impl History {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut rows = Vec::new();
        for item in context.engine()?.history(&self.image)? {
            let created =
                OffsetDateTime::from_unix_timestamp(item.created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let at = created.format(&Rfc3339).unwrap_or_default();
            let since = format!("{} ago", human_duration(OffsetDateTime::now_utc() - created));
            let by = item.created_by.replace('\t', " ");
            let size = u64::try_from(item.size).unwrap_or(0);
            let hex = item.id.trim_start_matches("sha256:");
            let id = if self.no_trunc { &item.id } else { hex.get(..12).unwrap_or(hex) };
            rows.push(Row::from(json!({
                "ID": id,
                "CreatedAt": at,
                "CreatedSince": if self.human { since } else { at.clone() },
                "CreatedBy": if self.no_trunc { by } else { ellipsis(&by, CREATED_BY) },
                "Size": if self.human { human_size_with(size, 3) } else { size.to_string() },
                "Comment": item.comment,
            })));
        }
        if is_overridden(self.format.as_deref(), self.quiet) {
            eprintln!("{QUIET_WARNING}");
        }
        let mut out = std::io::stdout().lock();
        shown(print_rows(&mut out, self.format.as_deref(), &TABLE, self.quiet, &rows))?;
        Ok(0)
    }
}
