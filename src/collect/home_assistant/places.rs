//! Where things are and how they are labelled: areas and floors become a location,
//! labels become tags. What is referred to and does not exist any more is left out.

use std::collections::HashMap;

use super::answers::{Area, Device, Floor, Label};

/// The areas, floors and labels by their ids.
#[derive(Debug, Default)]
pub(super) struct Places<'a> {
    areas: HashMap<&'a str, &'a Area>,
    floors: HashMap<&'a str, &'a str>,
    labels: HashMap<&'a str, &'a str>,
}

impl<'a> Places<'a> {
    pub(super) fn new(areas: &'a [Area], floors: &'a [Floor], labels: &'a [Label]) -> Self {
        Places {
            areas: areas.iter().filter_map(|area| Some((area.area_id.get()?, area))).collect(),
            floors: floors
                .iter()
                .filter_map(|floor| Some((floor.floor_id.get()?, floor.name.get()?)))
                .collect(),
            labels: labels
                .iter()
                .filter_map(|label| Some((label.label_id.get()?, label.name.get()?)))
                .collect(),
        }
    }

    /// `Floor / Area`, as far as they exist.
    pub(super) fn location(&self, device: &Device) -> Option<String> {
        let area = self.areas.get(device.area_id.get()?)?;
        let name = part(area.name.get()?);
        let floor = area.floor_id.get().and_then(|floor| self.floors.get(floor));
        Some(match floor {
            Some(floor) => format!("{} / {name}", part(floor)),
            None => name,
        })
    }

    /// The names of a device's labels.
    pub(super) fn tags(&self, device: &Device) -> Vec<&'a str> {
        let labels = device.labels.texts().into_iter();
        labels.filter_map(|label| self.labels.get(label).copied()).collect()
    }
}

/// A name that stays one part of a path.
fn part(name: &str) -> String {
    name.replace(" / ", "/")
}
