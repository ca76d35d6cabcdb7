//! JSON for programs. Its shape is that of [`Inventory`].

use super::model::Inventory;

pub(super) fn text(inventory: &Inventory) -> String {
    let mut text = serde_json::to_string_pretty(inventory)
        .expect("names and numbers, every float of them finite");
    text.push('\n');
    text
}
