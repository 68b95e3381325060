//! JSON values of any type to the type a field should have. Nothing here fails on a value; only broken JSON does.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// So many items of a list inside one field are kept.
const ITEMS_MAX: usize = 256;

/// A value of a record, as far as a field can use it.
#[derive(Debug, Clone, Default, PartialEq)]
enum Value {
    /// `null`, or nested too deep to mean anything.
    #[default]
    Nothing,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// The items of a list, or the values of an object (how PHP writes a list with holes).
    List(Vec<Self>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor { lists: true })
    }
}

/// A [`Value`] that is no list.
struct Item(Value);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ValueVisitor { lists: false })
            .map(Self)
    }
}

struct ValueVisitor {
    /// Whether lists are read; inside of lists they are skipped, so that depth costs no stack.
    lists: bool,
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        // Beyond i64 only an identifier makes sense, and that is text.
        Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while self.lists && items.len() < ITEMS_MAX {
            let Some(Item(item)) = seq.next_element()? else {
                return Ok(Value::List(items));
            };
            items.push(item);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(if self.lists {
            Value::List(items)
        } else {
            Value::Nothing
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while self.lists && items.len() < ITEMS_MAX {
            let Some((_, Item(item))) = map.next_entry::<IgnoredAny, _>()? else {
                return Ok(Value::List(items));
            };
            items.push(item);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(if self.lists {
            Value::List(items)
        } else {
            Value::Nothing
        })
    }
}

impl Value {
    /// As written where it is text; `None` where it is blank or has no text form.
    fn into_name(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text).filter(|text| !text.trim().is_empty()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Nothing | Self::Bool(_) | Self::List(_) => None,
        }
    }

    fn into_text(self) -> Option<String> {
        let name = self.into_name()?;
        let trimmed = name.trim();
        Some(if trimmed.len() == name.len() {
            name
        } else {
            trimmed.to_owned()
        })
    }

    /// Text in which `12.0` is `12`.
    fn into_id(self) -> Option<String> {
        let mut id = self.into_text()?;
        let whole = id.split_once('.').filter(|(whole, zeros)| {
            !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) && zeros.bytes().all(|b| b == b'0')
        });
        if let Some(digits) = whole.map(|(whole, _)| whole.len()) {
            id.truncate(digits);
        }
        Some(id)
    }

    fn as_float(&self) -> Option<f64> {
        let number = match self {
            Self::Integer(_) | Self::Float(_) | Self::Text(_) => self.clone().into_text()?.parse().ok(),
            Self::Nothing | Self::Bool(_) | Self::List(_) => None,
        };
        number.filter(|number: &f64| number.is_finite())
    }

    fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) if text.trim().parse::<i64>().is_ok() => text.trim().parse().ok(),
            // A float is cut to whole numbers by way of its text: no cast can go wrong.
            _ => format!("{:.0}", self.as_float()?.trunc()).parse().ok(),
        }
    }

    fn as_flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => self.as_float().map(|number| number != 0.0),
            },
            _ => self.as_float().map(|number| number != 0.0),
        }
    }
}

/// A name as written; numbers as text; empty where there is none.
pub(crate) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Value::deserialize(deserializer)?.into_name().unwrap_or_default())
}

/// Text without surrounding blanks; `None` where blank.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Value::deserialize(deserializer)?.into_text())
}

/// An identifier: text, or a whole number as text.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Value::deserialize(deserializer)?.into_id())
}

/// Identifiers: the items of a list, or one.
pub(crate) fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::List(items) => items.into_iter().filter_map(Value::into_id).collect(),
        one => one.into_id().into_iter().collect(),
    })
}

/// A whole number that fits `T`.
pub(crate) fn count<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Value::deserialize(deserializer)?
        .as_integer()
        .and_then(|number| T::try_from(number).ok()))
}

/// Unix seconds; `None` where there are none: blank, 0, dates in words.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Value::deserialize(deserializer)?
        .as_integer()
        .filter(|seconds| *seconds > 0))
}

/// A number that need not be whole.
pub(crate) fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_float())
}

/// Yes or no; `None` where the value is neither.
pub(crate) fn answer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_flag())
}

/// Yes, or anything else.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(answer(deserializer)?.unwrap_or(false))
}

/// An object; the default where something else (`[]`, `""`, `null`) stands in its place.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct ObjectVisitor<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(T::default())
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_bool<E>(self, _: bool) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_i64<E>(self, _: i64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_u64<E>(self, _: u64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_f64<E>(self, _: f64) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_str<E>(self, _: &str) -> Result<T, E> {
            Ok(T::default())
        }
    }

    deserializer
        .deserialize_any(ObjectVisitor(std::marker::PhantomData))
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn identifiers() {
        for (json, expected) in [
            ("7", Some("7")),
            ("\"7\"", Some("7")),
            ("\" 7 \"", Some("7")),
            ("7.0", Some("7")),
            ("\"7.00\"", Some("7")),
            ("7.5", Some("7.5")),
            ("\"abc.0\"", Some("abc.0")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("\"\"", None),
            ("null", None),
            ("true", None),
            ("[]", None),
            ("{}", None),
            ("[[[1]]]", None),
        ] {
            assert_eq!(value(json).into_id().as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn numbers() {
        for (json, expected) in [
            ("7", Some(7)),
            ("\"7\"", Some(7)),
            ("\" 7.9 \"", Some(7)),
            ("-7.9", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("1e30", None),
            ("\"N/A\"", None),
            ("\"NaN\"", None),
            ("\"\"", None),
            ("false", None),
            ("[1]", None),
        ] {
            assert_eq!(value(json).as_integer(), expected, "{json}");
        }
    }

    #[test]
    fn flags() {
        for (json, expected) in [
            ("1", Some(true)),
            ("\"1\"", Some(true)),
            ("true", Some(true)),
            ("\"Yes\"", Some(true)),
            ("0", Some(false)),
            ("\"0\"", Some(false)),
            ("\"false\"", Some(false)),
            ("\"\"", None),
            ("null", None),
            ("{}", None),
        ] {
            assert_eq!(value(json).as_flag(), expected, "{json}");
        }
    }

    #[test]
    fn lists_inside_fields_are_bounded() {
        let long = format!("[{}1]", "1,".repeat(10 * ITEMS_MAX));
        assert!(matches!(value(&long), Value::List(items) if items.len() == ITEMS_MAX));
    }
}
