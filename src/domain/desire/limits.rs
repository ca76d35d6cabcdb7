//! What a field can hold: NetBox's lengths and ranges. A text that is too long is
//! cut, the same way every time; a number that cannot be is left out.

use super::super::name::visible;
use super::super::object::{Field, Kind};
use super::super::value::{Decimal, Value};

/// The value as the field can hold it; none where it cannot.
pub(super) fn fitted(kind: Kind, field: Field, value: Value) -> Option<Value> {
    match value {
        Value::Text(text) => match longest(kind, field) {
            Some(limit) => {
                let fitted = visible(&text, limit);
                (!fitted.is_empty()).then(|| Value::text(fitted))
            }
            None => Some(Value::Text(text)),
        },
        Value::Int(number) => range(field).contains(&number).then_some(Value::Int(number)),
        Value::Decimal(number) => {
            (1..=999_999).contains(&number.0).then_some(Value::Decimal(Decimal(number.0)))
        }
        Value::Ints(numbers) if field == Field::Ports => {
            let ports = numbers.into_iter().filter(|port| (1..=65_535).contains(port)).collect();
            Some(Value::Ints(ports))
        }
        other => Some(other),
    }
}

/// The longest text in characters; none where there is no limit worth keeping.
fn longest(kind: Kind, field: Field) -> Option<usize> {
    Some(match field {
        Field::Name => match kind {
            Kind::Device
            | Kind::VirtualMachine
            | Kind::Interface
            | Kind::VmInterface
            | Kind::VirtualDisk
            | Kind::InventoryItem
            | Kind::Vlan => 64,
            _ => 100,
        },
        Field::Model => 100,
        Field::Description => 200,
        Field::Serial | Field::AssetTag | Field::PartId | Field::PartNumber => 50,
        Field::DnsName => 255,
        _ => return None,
    })
}

fn range(field: Field) -> std::ops::RangeInclusive<i64> {
    const MOST: i64 = i32::MAX as i64;
    match field {
        Field::Mtu => 1..=65_536,
        Field::Vid => 1..=4094,
        _ => 0..=MOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_what_cannot_be_is_left_out() {
        let long = Value::text("x".repeat(300));
        let cut = |kind, field| match fitted(kind, field, long.clone()) {
            Some(Value::Text(text)) => text.len(),
            _ => 0,
        };
        assert_eq!(cut(Kind::Device, Field::Name), 64);
        assert_eq!(cut(Kind::Site, Field::Name), 100);
        assert_eq!(cut(Kind::Device, Field::Comments), 300);
        assert_eq!(fitted(Kind::Interface, Field::Mtu, Value::Int(0)), None);
        assert_eq!(fitted(Kind::VirtualMachine, Field::Vcpus, Value::Decimal(Decimal(0))), None);
        assert_eq!(
            fitted(Kind::Service, Field::Ports, Value::Ints([0, 80, 70_000].into())),
            Some(Value::Ints([80].into()))
        );
    }
}
