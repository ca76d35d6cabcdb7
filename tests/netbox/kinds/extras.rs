//! Tags and custom fields.

use super::choices::{CUSTOM_FIELD_TYPE, FILTER_LOGIC, UI_EDITABLE, UI_VISIBLE};
use super::{comments, computed, description, field, int, owner, select, text, unkept, yes_no};
use crate::netbox::model::{By, Filter, Kind, KindDef, Preset, Shape, Sort};
use crate::netbox::version::Version;
use serde_json::json;

pub(super) static TAG: KindDef = KindDef {
    kind: Kind::Tag,
    path: "extras/tags",
    label: "extras.tag",
    class: "Tag",
    noun: "tag",
    since: Version::V4_0,
    fields: &[
        text("name", 100).required().unique(),
        field("slug", Shape::Slug).required().unique(),
        field("color", Shape::Color).preset(Preset::Word("9e9e9e")),
        description(),
        field("weight", Shape::Int(0, 32767)).preset(Preset::Number(1000)).since(Version::V4_4),
        field("object_types", Shape::ObjectTypes),
        computed("tagged_items", |view, tag| view.store.tagged(tag.id).into()),
    ],
    brief: &["id", "url", "display", "name", "slug", "color", "description"],
    order: &[Sort::Plain("weight"), Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[],
    search: &["name", "slug", "description"],
    marked: false,
    sequential: false,
    filters: &[],
    unkept_filters: "content_type content_type_id for_object_type_id object_types",
};

pub(super) static CUSTOM_FIELD: KindDef = KindDef {
    kind: Kind::CustomField,
    path: "extras/custom-fields",
    label: "extras.customfield",
    class: "CustomField",
    noun: "custom field",
    since: Version::V4_0,
    fields: &[
        field("object_types", Shape::ObjectTypes).required(),
        select("type", CUSTOM_FIELD_TYPE, "text").required(),
        field("related_object_type", Shape::ObjectType).null(),
        computed("data_type", |_, cf| {
            match cf.text("type") {
                "integer" => "integer",
                "decimal" => "decimal",
                "boolean" => "boolean",
                "object" | "json" => "object",
                "multiselect" | "multiobject" => "array",
                _ => "string",
            }
            .into()
        }),
        text("name", 50).required().unique(),
        text("label", 50),
        text("group_name", 50),
        description(),
        yes_no("required", false),
        yes_no("unique", false).since(Version::V4_2),
        field("search_weight", Shape::Int(0, 32767)).preset(Preset::Number(1000)),
        select("filter_logic", FILTER_LOGIC, "loose"),
        select("ui_visible", UI_VISIBLE, "always"),
        select("ui_editable", UI_EDITABLE, "yes"),
        yes_no("is_cloneable", false),
        field("default", Shape::Json).null(),
        unkept("related_object_filter", "null").since(Version::V4_2),
        field("weight", Shape::Int(0, 32767)).preset(Preset::Number(100)),
        int("validation_minimum", i64::MIN, i64::MAX),
        int("validation_maximum", i64::MIN, i64::MAX),
        unkept("validation_regex", "\"\""),
        unkept("validation_schema", "null").since(Version::V4_6),
        unkept("choice_set", "null"),
        owner(),
        comments(),
        yes_no("nulls_first", true).since(Version::V4_7),
    ],
    brief: &["id", "url", "display", "name", "description"],
    order: &[Sort::Natural("group_name"), Sort::Plain("weight"), Sort::Natural("name")],
    order_since_4_7: None,
    unique: &[],
    search: &["name", "label", "group_name", "description", "comments"],
    marked: false,
    sequential: false,
    filters: &[Filter {
        name: "object_type",
        since: Version::V4_0,
        until: None,
        by: By::Ask(|_, cf, given| {
            given.iter().any(|label| cf.list("object_types").contains(&json!(label)))
        }),
    }],
    unkept_filters: "choice_set choice_set_id object_type_id related_object_type related_object_type_id",
};
