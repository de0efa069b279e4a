//! What people change of a device: its state, its line, owner and key-check values. Each change has a reason.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Deserializer};

use super::{DeviceMessage, parsed};
use crate::domain::life_cycle::LifeState;
use crate::domain::registry::Amendment;
use crate::domain::{Malformed, Note, Serial, unix_now};
use crate::http::extract::{MayWrite, PathValue};
use crate::http::problem::Problem;
use crate::http::{App, body};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateBody {
    state: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmendmentBody {
    #[serde(default, deserialize_with = "present")]
    line: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    owner: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    key_checks: Option<Option<String>>,
    reason: String,
}

/// A member that is there: `null` takes the value off.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn amended<T: std::str::FromStr<Err: Into<Malformed>>>(
    member: Option<Option<String>>,
) -> Result<Option<Option<T>>, Malformed> {
    member.map(parsed).transpose()
}

pub(in crate::http) async fn change_state(
    by: MayWrite,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let StateBody { state, reason } = body::read_json(&parts.headers, body).await?;
    let (state, reason) = (state.parse::<LifeState>()?, reason.parse::<Note>()?);
    let device = app.registry.change_state(&serial, state, &reason, (by.reporter(), unix_now())).await?;
    tracing::info!(serial = serial.as_str(), %state, "state of a device");
    Ok(Json(DeviceMessage::new(device, None)).into_response())
}

pub(in crate::http) async fn amend(
    by: MayWrite,
    State(app): State<App>,
    PathValue(serial): PathValue<Serial>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let message: AmendmentBody = body::read_json(&parts.headers, body).await?;
    let amendment = Amendment {
        line: amended(message.line)?,
        owner: amended(message.owner)?,
        key_checks: amended(message.key_checks)?,
    };
    if amendment == Amendment::default() {
        return Err(Problem::malformed("Nothing is to be changed: give line, owner or key_checks."));
    }
    let reason = message.reason.parse::<Note>()?;
    let device = app.registry.amend(&serial, &amendment, &reason, (by.reporter(), unix_now())).await?;
    tracing::info!(serial = serial.as_str(), "device amended");
    Ok(Json(DeviceMessage::new(device, None)).into_response())
}
