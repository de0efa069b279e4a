//! A SUIT report for people (draft-ietf-suit-report-18).

use super::room::Room;
use super::{Outline, as_cbor, digest, identifier_words, names, parameters, values};
use crate::report::{CapabilityTree, ComponentCapability, RecordEntry, RecordTree, ReportResult, ReportTree};
use crate::vocabulary::{CapabilityElement, ReportElement, ReportReason, ReportResultElement};

impl ReportTree<'_> {
    /// The content for people.
    #[must_use]
    pub fn outline(&self) -> Outline {
        report(self)
    }
}

fn report(tree: &ReportTree<'_>) -> Outline {
    let room = &Room::new();
    let named = |element: ReportElement| names::report(element.number().into());
    let mut parts = vec![room.element(
        named(ReportElement::Reference),
        "",
        vec![
            room.leaf("manifest-uri", values::show_text(tree.uri)),
            digest(room, "manifest-digest", &tree.digest),
        ],
    )];
    if let Some(nonce) = tree.nonce {
        parts.push(room.leaf(named(ReportElement::Nonce), values::show_bytes(nonce)));
    }
    parts.push(room.element(named(ReportElement::Result), tree.summary(), result(room, &tree.result)));
    let entries = room.list(&tree.records, |entry| match entry {
        RecordEntry::Record(one) => record(room, "record", one),
        RecordEntry::System(system) => {
            let component = identifier_words(&system.component);
            room.element(
                format!("system properties of component {component}"),
                "",
                parameters(room, &system.properties),
            )
        }
    });
    parts.push(room.element(named(ReportElement::Records), format!("{}", tree.records.len()), entries));
    if let Some(tree) = &tree.capabilities {
        parts.push(room.element(named(ReportElement::CapabilityReport), "", capabilities(room, tree)));
    }
    parts.extend(room.list(&tree.extensions, |(number, value)| {
        as_cbor(room, names::report((*number).into()), value.bytes)
    }));
    room.element("SUIT report", "", parts)
}

fn result(room: &Room, result: &ReportResult<'_>) -> Vec<Outline> {
    let ReportResult::Other { code, record: place, reason } = result else { return Vec::new() };
    let named = |element: ReportResultElement| names::report_result(element.number().into());
    let message = ReportReason::from_number(*reason).map_or("", ReportReason::message);
    vec![
        room.leaf(
            named(ReportResultElement::Reason),
            format!("{} {message}", names::report_reason((*reason).into())),
        ),
        room.leaf(named(ReportResultElement::Code), format!("{code:#06x}")),
        record(room, &named(ReportResultElement::Record), place),
    ]
}

fn record(room: &Room, name: &str, record: &RecordTree<'_>) -> Outline {
    let mut parts = vec![
        room.leaf("manifest-id", format!("{:?}", record.manifest_id)),
        room.leaf("section", record.section_name()),
        room.leaf("section-offset", record.offset.to_string()),
        room.leaf("component-index", record.component.to_string()),
        room.element("properties", "", parameters(room, &record.properties)),
    ];
    parts.extend(room.list(&record.extensions, |value| as_cbor(room, "extension", value.bytes)));
    room.element(name, "", parts)
}

fn capabilities(room: &Room, tree: &CapabilityTree<'_>) -> Vec<Outline> {
    let component = |capability: &ComponentCapability<'_>| {
        let behind = if capability.is_prefix { ", and all that begin so" } else { "" };
        room.leaf("component", format!("{}{behind}", identifier_words(&capability.identifier)))
    };
    let named = |element: CapabilityElement| names::capability(element.number().into());
    let mut parts =
        vec![room.element(named(CapabilityElement::Components), "", room.list(&tree.components, component))];
    parts.extend(room.list(&tree.lists, |(element, numbers)| {
        let name: fn(i128) -> String = match element {
            CapabilityElement::Components => names::capability,
            CapabilityElement::Commands => names::command,
            CapabilityElement::Parameters => names::parameter,
            CapabilityElement::CryptAlgo => names::algorithm,
            CapabilityElement::Envelope => names::envelope,
            CapabilityElement::Manifest => names::manifest,
            CapabilityElement::Common | CapabilityElement::Dependency => names::common,
            CapabilityElement::Text => names::manifest_text,
            CapabilityElement::TextComponent => names::component_text,
        };
        let shown: Vec<_> = numbers.iter().map(|number| name((*number).into())).collect();
        room.leaf(named(*element), shown.join(", "))
    }));
    parts.extend(
        room.list(&tree.paths, |(path, numbers)| room.leaf(format!("{path:?}"), format!("{numbers:?}"))),
    );
    parts.extend(room.list(&tree.extensions, |(number, value)| {
        as_cbor(room, names::capability((*number).into()), value.bytes)
    }));
    parts
}
