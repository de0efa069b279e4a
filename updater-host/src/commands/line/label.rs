//! The label of a device, to be printed: serial, node address, device id, and a QR code with the same as JSON.

use std::fmt::Write as _;

use device_lists::Row;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use serde::Serialize;

/// Side of the label, units; the printer chooses how long one is.
const WIDTH: u32 = 400;
const HEIGHT: u32 = 480;
/// Where the QR code stands, and how wide it is.
const CODE_PLACE: (u32, u32) = (40, 10);
const CODE_WIDTH: u32 = 320;

/// What the QR code says.
#[derive(Serialize)]
struct Content<'a> {
    serial: &'a str,
    node: u8,
    device: String,
}

/// The text of the QR code of a device.
pub(super) fn content(row: &Row) -> Option<String> {
    let content = Content { serial: &row.serial, node: row.node_address, device: row.device.to_string() };
    serde_json::to_string(&content).ok()
}

/// The label as SVG; `None` if no QR code holds the text.
pub(super) fn svg(row: &Row) -> Option<String> {
    let code = QrCode::with_error_correction_level(content(row)?, EcLevel::M).ok()?;
    let code = code.render::<svg::Color<'_>>().min_dimensions(CODE_WIDTH, CODE_WIDTH).build();
    // An SVG inside of another has no declaration of its own, and a place.
    let inner = code.get(code.find("<svg")?..)?.strip_prefix("<svg")?;
    let (serial, node, device) = (escaped(&row.serial), row.node_address, row.device);
    let (x, y) = CODE_PLACE;
    let mut out = String::new();
    // Writing to a string does not fail.
    let _infallible = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <svg x=\"{x}\" y=\"{y}\"{inner}\n\
         <g font-family=\"monospace\" text-anchor=\"middle\">\n\
         <text x=\"200\" y=\"380\" font-size=\"20\" xml:space=\"preserve\">{serial}</text>\n\
         <text x=\"200\" y=\"415\" font-size=\"20\">node 0x{node:02X} ({node})</text>\n\
         <text x=\"200\" y=\"450\" font-size=\"15\">{device}</text>\n\
         </g>\n\
         </svg>\n"
    );
    Some(out)
}

/// Text between the tags of XML.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            other => out.push(other),
        }
    }
    out
}
