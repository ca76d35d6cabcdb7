//! The vocabulary in which the table of kinds (`kinds`) is written: what a kind
//! has for fields, what a field takes, what must be unique, what a deletion does.

use super::store::Object;
use super::version::Version;
use super::view::View;
use serde_json::Value;

/// The kinds of objects that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Tag,
    CustomField,
    Manufacturer,
    DeviceRole,
    ClusterType,
    Tenant,
    Vrf,
    Site,
    Location,
    DeviceType,
    Platform,
    Cluster,
    VlanGroup,
    Vlan,
    Prefix,
    IpRange,
    Device,
    VirtualMachine,
    Interface,
    VmInterface,
    VirtualDisk,
    InventoryItem,
    MacAddress,
    IpAddress,
    Service,
    Cable,
    CableTermination,
}

/// What a kind is.
#[derive(Debug)]
pub(crate) struct KindDef {
    /// The kind.
    pub(crate) kind: Kind,
    /// Its place under `/api/`; none for a kind that is only written through another.
    pub(crate) path: &'static str,
    /// Its content type.
    pub(crate) label: &'static str,
    /// The name of its class, told by 404s.
    pub(crate) class: &'static str,
    /// Its name in messages.
    pub(crate) noun: &'static str,
    /// The version that brought it.
    pub(crate) since: Version,
    /// Its fields, in the order in which they are answered.
    pub(crate) fields: &'static [Field],
    /// The fields of its short form.
    pub(crate) brief: &'static [&'static str],
    /// The order in which lists are answered.
    pub(crate) order: &'static [Sort],
    /// The order since 4.7, where it is another.
    pub(crate) order_since_4_7: Option<&'static [Sort]>,
    /// What must be unique, beyond single fields.
    pub(crate) unique: &'static [Unique],
    /// The fields that `q` searches.
    pub(crate) search: &'static [&'static str],
    /// Whether its objects carry tags and custom fields.
    pub(crate) marked: bool,
    /// Whether a list of new objects is validated and saved one by one (before 4.7).
    pub(crate) sequential: bool,
    /// Filters beyond those that the fields give.
    pub(crate) filters: &'static [Filter],
    /// Filters that NetBox has and this stand-in does not, parted by blanks: answered 501,
    /// never ignored.
    pub(crate) unkept_filters: &'static str,
}

impl KindDef {
    /// The field of a name, as far as a version has it.
    pub(crate) fn field(&self, version: Version, name: &str) -> Option<&'static Field> {
        self.fields(version).find(|field| field.name == name)
    }

    /// The fields that a version has.
    pub(crate) fn fields(&self, version: Version) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().filter(move |field| field.lives(version))
    }
}

/// A field of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) shape: Shape,
    /// The version that brought it.
    pub(crate) since: Version,
    /// The version that took it away.
    pub(crate) until: Option<Version>,
    /// Whether a new object must have it.
    pub(crate) required: bool,
    /// Whether it can be null.
    pub(crate) null: bool,
    /// Whether no two objects of the kind may share a value.
    pub(crate) unique: bool,
    /// The value of a new object that says nothing of it.
    pub(crate) preset: Preset,
}

impl Field {
    /// Whether a version has it.
    pub(crate) fn lives(&self, version: Version) -> bool {
        version >= self.since && self.until.is_none_or(|until| version < until)
    }

    /// Whether a client may write it.
    pub(crate) fn writable(&self) -> bool {
        !matches!(
            self.shape,
            Shape::Computed(_)
                | Shape::Count(..)
                | Shape::Unkept(_)
                | Shape::Object(_)
                | Shape::Hidden
        )
    }

    /// Whether the stored object has a value of it.
    pub(crate) fn stored(&self) -> bool {
        matches!(self.shape, Shape::Hidden)
            || (self.writable()
                && !matches!(self.shape, Shape::Terminations(_) | Shape::InterfaceMac))
    }

    /// The value of a new object that says nothing of it.
    pub(crate) fn initial(&self) -> Value {
        match self.preset {
            Preset::Blank if self.null => Value::Null,
            Preset::Blank => match self.shape {
                Shape::Text(_) | Shape::Slug | Shape::Color | Shape::Choice(_) => "".into(),
                Shape::Many(_) | Shape::ObjectTypes => Value::Array(Vec::new()),
                _ => Value::Null,
            },
            Preset::Yes => true.into(),
            Preset::No => false.into(),
            Preset::Word(word) => word.into(),
            Preset::Number(number) => number.into(),
            Preset::Json(text) => serde_json::from_str(text).expect("presets are written as JSON"),
        }
    }
}

/// The value of a new object that says nothing of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preset {
    /// Nothing: null, or an empty text.
    Blank,
    /// True.
    Yes,
    /// False.
    No,
    /// A word.
    Word(&'static str),
    /// A number.
    Number(i64),
    /// A value written as JSON.
    Json(&'static str),
}

/// What a field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A text of at most so many characters; 0 for any number.
    Text(usize),
    /// A name for addresses.
    Slug,
    /// Six hexadecimal digits.
    Color,
    /// A whole number within bounds.
    Int(i64, i64),
    /// A number with so many places, at least as big.
    Decimal(u32, f64),
    /// Yes or no.
    Bool,
    /// One of some words, answered with a label.
    Choice(&'static [Choice]),
    /// One of some words, answered as it is.
    Word(&'static [Choice]),
    /// A reference to an object of a kind.
    One(Kind, OnDelete),
    /// References to objects of a kind.
    Many(Kind),
    /// The kind that a generic reference points to.
    TypeName(&'static Generic),
    /// The id that a generic reference points to.
    TypeId(&'static Generic),
    /// What a generic reference points to, in its short form.
    Object(&'static Generic),
    /// An address with the length of its prefix.
    Address,
    /// A network.
    Network,
    /// A MAC address.
    Mac,
    /// A MAC address, written through to objects of their own since 4.7.
    InterfaceMac,
    /// Port numbers.
    Ports,
    /// Ports with their protocols.
    PortMappings,
    /// Ranges of VLAN ids.
    VidRanges,
    /// One side of a cable.
    Terminations(&'static str),
    /// Content types.
    ObjectTypes,
    /// One content type.
    ObjectType,
    /// Any JSON.
    Json,
    /// Made of the object and what stands around it.
    Computed(fn(&View<'_>, &Object) -> Value),
    /// How many objects of a kind refer to it by a field.
    Count(Kind, &'static str),
    /// A value that NetBox keeps for itself: told by its change log, by no answer.
    Hidden,
    /// A field that NetBox has and the stand-in keeps at this value, as JSON.
    /// Writing anything else into it is answered 501.
    Unkept(&'static str),
}

/// A word that a choice field takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// The word.
    pub(crate) value: &'static str,
    /// Its label.
    pub(crate) label: &'static str,
    /// The version that brought it.
    pub(crate) since: Version,
}

/// A word that all versions take.
pub(crate) const fn choice(value: &'static str, label: &'static str) -> Choice {
    Choice { value, label, since: Version::V4_0 }
}

/// A word that versions take from one on.
pub(crate) const fn choice_since(
    since: Version,
    value: &'static str,
    label: &'static str,
) -> Choice {
    Choice { value, label, since }
}

/// A reference whose kind stands beside it.
#[derive(Debug)]
pub(crate) struct Generic {
    /// The field of the kind.
    pub(crate) type_field: &'static str,
    /// The field of the id.
    pub(crate) id_field: &'static str,
    /// What it may point to.
    pub(crate) to: &'static [Kind],
    /// What happens when the object it points to is deleted.
    pub(crate) on_delete: OnDelete,
}

/// What happens to an object when what it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// It prevents the deletion.
    Protect,
    /// It prevents the deletion unless it goes with it anyway.
    Restrict,
    /// Its reference is emptied.
    SetNull,
    /// Its reference stays behind.
    Nothing,
}

/// A step of the order in which lists are answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sort {
    /// By a text, numbers within it by value.
    Natural(&'static str),
    /// By the name of an interface: slots first, then the word, then its numbers.
    Port(&'static str),
    /// By a value as it is; nulls last.
    Plain(&'static str),
    /// By a value as it is; nulls first.
    NullsFirst(&'static str),
    /// By an address.
    Net(&'static str),
    /// By the order of the object that a field refers to; nulls last.
    Via(&'static str),
    /// By the lowest number in a list.
    Lowest(&'static str),
    /// By the place in a tree: by a field of each object from the root on.
    Tree(&'static str),
    /// By id.
    Id,
}

/// Fields whose values no two objects may share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unique {
    /// The name of the database's constraint, told by an `IntegrityError`.
    pub(crate) constraint: &'static str,
    /// The fields.
    pub(crate) fields: &'static [&'static str],
    /// Whether the first field is compared without case.
    pub(crate) lower: bool,
    /// Whether two nulls count as equal. Elsewhere an object with a null clashes with none.
    pub(crate) nulls_equal: bool,
    /// It holds only where these fields are null.
    pub(crate) where_null: &'static [&'static str],
    /// It holds only where these fields are not null.
    pub(crate) where_set: &'static [&'static str],
    /// What is said of a clash. Where it is empty only the database notices, with a 500.
    pub(crate) message: &'static str,
    /// The version that brought it.
    pub(crate) since: Version,
    /// The version that took it away.
    pub(crate) until: Option<Version>,
}

impl Unique {
    /// Fields that are unique together, in all versions.
    pub(crate) const fn new(
        constraint: &'static str,
        fields: &'static [&'static str],
        message: &'static str,
    ) -> Self {
        Unique {
            constraint,
            fields,
            lower: false,
            nulls_equal: false,
            where_null: &[],
            where_set: &[],
            message,
            since: Version::V4_0,
            until: None,
        }
    }

    /// Compares the first field without case.
    pub(crate) const fn lower(mut self) -> Self {
        self.lower = true;
        self
    }

    /// Takes two nulls as equal.
    pub(crate) const fn nulls_equal(mut self) -> Self {
        self.nulls_equal = true;
        self
    }

    /// Holds only where fields are null.
    pub(crate) const fn where_null(mut self, fields: &'static [&'static str]) -> Self {
        self.where_null = fields;
        self
    }

    /// Holds only where fields are not null.
    pub(crate) const fn where_set(mut self, fields: &'static [&'static str]) -> Self {
        self.where_set = fields;
        self
    }

    /// Came with a version.
    pub(crate) const fn since(mut self, version: Version) -> Self {
        self.since = version;
        self
    }

    /// Went with a version.
    pub(crate) const fn until(mut self, version: Version) -> Self {
        self.until = Some(version);
        self
    }

    /// Whether a version has it.
    pub(crate) fn lives(&self, version: Version) -> bool {
        version >= self.since && self.until.is_none_or(|until| version < until)
    }
}

/// A filter of lists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// Its name, without what follows two underscores.
    pub(crate) name: &'static str,
    /// The version that brought it.
    pub(crate) since: Version,
    /// The version that took it away.
    pub(crate) until: Option<Version>,
    /// What it compares.
    pub(crate) by: By,
}

impl Filter {
    /// Whether a version has it.
    pub(crate) fn lives(&self, version: Version) -> bool {
        version >= self.since && self.until.is_none_or(|until| version < until)
    }
}

/// Asks whether an object is among those that the given values name.
pub(crate) type Asked = fn(&View<'_>, &Object, &[String]) -> bool;

/// What a filter compares. A way leads through references to a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// A text.
    Text(&'static [&'static str]),
    /// A text, whatever its case.
    Loose(&'static [&'static str]),
    /// A content type, whatever its case. Its negation says the same, as in NetBox.
    TypeName(&'static str),
    /// MAC addresses; what is none finds nothing.
    Macs(fn(&View<'_>, &Object) -> Vec<String>),
    /// A number.
    Number(&'static [&'static str]),
    /// Yes or no.
    Bool(&'static [&'static str]),
    /// One of some words, or none where the field can be null; others are refused.
    Choice(&'static [&'static str], &'static [Choice], bool),
    /// The id of an object of a kind; others than standing ones are refused.
    Id(&'static [&'static str], Kind),
    /// An attribute of an object of a kind; values that none has are refused.
    Attribute(&'static [&'static str], Kind, &'static str),
    /// Whatever a function says.
    Ask(Asked),
    /// The same, where only numbers are taken.
    AskNumber(Asked),
    /// The same, where only the ids of standing objects of a kind are taken.
    AskId(Kind, Asked),
    /// A question that is answered yes or no.
    Whether(fn(&View<'_>, &Object) -> bool),
}
