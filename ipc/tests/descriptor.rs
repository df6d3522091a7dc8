//! The protocol keeps its word: against the committed descriptor set, no field or enum value may be renumbered,
//! retyped or removed; additions are fine. When the .proto grew, `UPDATE_DESCRIPTOR=1 cargo test -p ipc --test
//! descriptor` commits the new set, and refuses to if a promise is broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
use std::{collections::BTreeMap, fs, path::PathBuf};

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// What is promised of each field and enum value, by its full name.
type Promises = BTreeMap<String, String>;

fn promises(set: &FileDescriptorSet) -> Promises {
    let mut promises = Promises::new();
    for file in &set.file {
        for message in &file.message_type {
            promise_message(file.package(), message, &mut promises);
        }
        for values in &file.enum_type {
            promise_enum(file.package(), values, &mut promises);
        }
    }
    promises
}

fn promise_message(prefix: &str, message: &DescriptorProto, promises: &mut Promises) {
    let name = format!("{prefix}.{}", message.name());
    promises.insert(name.clone(), "message".to_owned());
    for field in &message.field {
        promises.insert(format!("{name}.{}", field.name()), describe(message, field));
    }
    for nested in &message.nested_type {
        promise_message(&name, nested, promises);
    }
    for values in &message.enum_type {
        promise_enum(&name, values, promises);
    }
}

fn describe(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let oneof = field
        .oneof_index
        .and_then(|index| message.oneof_decl.get(index as usize))
        .map_or("", |oneof| oneof.name());
    let (kind, label) = (field.r#type().as_str_name(), field.label().as_str_name());
    format!(
        "{} = {kind} {} {label} in {oneof:?} as {:?}",
        field.number(),
        field.type_name(),
        field.json_name()
    )
}

fn promise_enum(prefix: &str, values: &EnumDescriptorProto, promises: &mut Promises) {
    for value in &values.value {
        promises.insert(
            format!("{prefix}.{}.{}", values.name(), value.name()),
            value.number().to_string(),
        );
    }
}

/// What `new` breaks of what `old` promised.
fn broken(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let new = promises(new);
    let changed = promises(old)
        .into_iter()
        .filter(|(name, was)| new.get(name) != Some(was));
    changed
        .map(|(name, was)| format!("{name}: was {was}, is {:?}", new.get(&name)))
        .collect()
}

type Change<'a> = &'a dyn Fn(&mut DescriptorProto);

fn today() -> FileDescriptorSet {
    FileDescriptorSet::decode(ipc::DESCRIPTOR_SET).unwrap()
}

#[test]
fn no_field_was_renumbered_retyped_or_removed() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/descriptor_set.bin");
    let old = FileDescriptorSet::decode(&fs::read(&path).unwrap()[..]).unwrap();
    assert!(promises(&old).len() > 100, "the committed set is empty");
    assert_eq!(broken(&old, &today()), Vec::<String>::new());
    if std::env::var_os("UPDATE_DESCRIPTOR").is_some() {
        fs::write(path, ipc::DESCRIPTOR_SET).unwrap();
    }
}

#[test]
fn each_kind_of_breakage_is_seen_and_additions_are_not() {
    let frame = |set: &mut FileDescriptorSet, change: Change<'_>| {
        change(
            set.file[0]
                .message_type
                .iter_mut()
                .find(|message| message.name() == "Frame")
                .unwrap(),
        );
    };
    let changes: [(&str, Change<'_>); 4] = [
        ("renumbered", &|message| message.field[3].number = Some(99)),
        ("retyped", &|message| message.field[0].r#type = Some(4)),
        ("removed", &|message| drop(message.field.remove(2))),
        ("renamed", &|message| {
            message.field[2].name = Some("other".into());
        }),
    ];
    for (what, change) in changes {
        let mut set = today();
        frame(&mut set, change);
        assert_eq!(broken(&today(), &set).len(), 1, "{what}");
    }
    let mut set = today();
    set.file[0].enum_type[0].value[4].number = Some(44);
    assert_eq!(broken(&today(), &set).len(), 1);
    let mut grown = today();
    frame(&mut grown, &|message| {
        let mut field = message.field[0].clone();
        (field.name, field.number) = (Some("new".into()), Some(200));
        message.field.push(field);
    });
    assert_eq!(broken(&today(), &grown), Vec::<String>::new());
}
