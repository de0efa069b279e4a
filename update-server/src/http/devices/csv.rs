//! Lists of devices as CSV: what goes out can come in again, and sets no device back.

mod rows;

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use self::rows::{Numbered, Row, Rows};
use super::{ListQuery, verified};
use crate::domain::registration::{DeviceFacts, Gains, Source};
use crate::domain::registry::{Import, Reporter};
use crate::domain::{Serial, unix_now};
use crate::http::extract::{MayWrite, QueryOf};
use crate::http::problem::{Problem, RowProblem};
use crate::http::{App, body};

const MEDIA_TYPE: &str = "text/csv; charset=utf-8";
/// Longest list that is taken, bytes.
const MAX_LEN: u64 = 8 * 1024 * 1024;
/// Most rows of a list that is taken: all of them are written at once, or none.
const MAX_ROWS: usize = 10_000;
/// Devices that are read at once for a list that goes out.
const PAGE: u32 = 1000;

/// All devices that the filter lets through, page by page.
pub(in crate::http) async fn export(
    State(app): State<App>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Response, Problem> {
    if query.after.is_some() || query.limit.is_some() {
        return Err(Problem::malformed("The list is whole: it takes neither after nor limit."));
    }
    let filter = query.filter()?;
    let header = rows::header()?;
    let pages = futures::stream::try_unfold((app, Some(String::new())), move |(app, after)| {
        let filter = filter.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let devices = app.registry.devices(Some(&after), &filter, PAGE).await.map_err(failed)?;
            let Some(last) = devices.last().map(|device| device.serial.clone()) else { return Ok(None) };
            let next = (devices.len() as u64 == u64::from(PAGE)).then_some(last);
            let page = rows::rows(devices).map_err(|_| std::io::Error::other("the list broke off"))?;
            Ok::<_, std::io::Error>(Some((page, (app, next))))
        }
    });
    let header = futures::stream::once(async { Ok(header) });
    let stream = futures::StreamExt::chain(header, pages);
    let headers = [(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

fn failed(error: impl std::fmt::Display) -> std::io::Error {
    tracing::error!(%error, "a list of devices broke off");
    std::io::Error::other("the list broke off")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ImportQuery {
    /// Import what is good, also when a row is refused.
    #[serde(default)]
    good_rows: bool,
}

#[derive(Serialize)]
struct Imported {
    devices: usize,
    #[serde(flatten)]
    gains: Gains,
    refused: Vec<RowProblem>,
}

/// Rows that were read, and those that are refused.
#[derive(Default)]
struct Judged {
    lines: Vec<u64>,
    devices: Vec<(Serial, DeviceFacts)>,
    refused: Vec<RowProblem>,
}

pub(in crate::http) async fn import(
    by: MayWrite,
    State(app): State<App>,
    QueryOf(query): QueryOf<ImportQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.headers, body, MAX_LEN).await?;
    let Judged { lines, devices, mut refused } = judge(&app, &bytes, by.reporter()).await?;
    let count = lines.len() + refused.len();
    if count == 0 {
        return Err(Problem::malformed("The list has no device: a header and a row for each are needed."));
    }
    let which = match (query.good_rows, refused.is_empty()) {
        (true, _) => Import::Good,
        (false, true) => Import::All,
        // What else is wrong is found all the same.
        (false, false) => Import::None,
    };
    let (gains, conflicts) = app.registry.import(&devices, which, unix_now()).await?;
    refused.extend(conflicts.into_iter().filter_map(|(place, error)| {
        let (line, (serial, _)) = (lines.get(place)?, devices.get(place)?);
        Some(Problem::from(error).at_row(*line, serial.as_str().to_owned()))
    }));
    refused.sort_by_key(RowProblem::line);
    if !query.good_rows && !refused.is_empty() {
        return Err(Problem::rows_refused(refused, count));
    }
    let imported = count - refused.len();
    tracing::info!(devices = imported, new = gains.new, refused = refused.len(), "devices imported");
    Ok(Json(Imported { devices: imported, gains, refused }).into_response())
}

async fn judge(app: &App, bytes: &[u8], reporter: &Reporter) -> Result<Judged, Problem> {
    let mut judged = Judged::default();
    let mut rows = Rows::new(bytes)?;
    while let Some(Numbered { line, row }) = rows.next()? {
        if judged.lines.len() + judged.refused.len() == MAX_ROWS {
            return Err(Problem::malformed(format!("At most {MAX_ROWS} devices are taken at once.")));
        }
        let named = row.as_ref().map(Row::serial).unwrap_or_default();
        let device = match row {
            Ok(row) => read(app, row, reporter).await,
            Err(problem) => Err(problem),
        };
        match device {
            Ok(device) => {
                judged.lines.push(line);
                judged.devices.push(device);
            }
            // A fault of the server's is not the row's.
            Err(problem) if problem.is_ours() => return Err(problem),
            Err(problem) => judged.refused.push(problem.at_row(line, named)),
        }
    }
    judged.refuse_repeated();
    Ok(judged)
}

impl Judged {
    /// Of two rows with one serial number nobody can say which one counts.
    fn refuse_repeated(&mut self) {
        let mut lines_of: HashMap<String, Vec<u64>> = HashMap::new();
        for (line, (serial, _)) in self.lines.iter().zip(&self.devices) {
            lines_of.entry(serial.as_str().to_owned()).or_default().push(*line);
        }
        let rows = std::mem::take(&mut self.lines).into_iter().zip(std::mem::take(&mut self.devices));
        for (line, (serial, facts)) in rows {
            let other =
                lines_of.get(serial.as_str()).and_then(|all| all.iter().find(|other| **other != line));
            match other {
                None => {
                    self.lines.push(line);
                    self.devices.push((serial, facts));
                }
                Some(other) => {
                    let problem =
                        Problem::malformed(format!("The serial number stands on line {other} too."));
                    self.refused.push(problem.at_row(line, serial.as_str().to_owned()));
                }
            }
        }
    }
}

async fn read(app: &App, row: Row, reporter: &Reporter) -> Result<(Serial, DeviceFacts), Problem> {
    let (serial, message, times) = row.registration()?;
    let (facts, credential) = message.facts(reporter.clone(), Source::List(times))?;
    let facts = verified(app, &serial, facts, credential).await?;
    Ok((serial, facts))
}
