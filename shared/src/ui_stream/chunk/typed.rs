//! From a list of frames and their fields to the type, its reading and its writing.

macro_rules! chunks {
    ($($(#[$doc:meta])* $variant:ident = $kind:literal $({ $($(#[$field_doc:meta])* $field:ident: $type:ty = $name:literal,)+ })?;)+) => {
        /// A frame of a UI message stream: what version 7 of the AI SDK knows. Not all of it may be passed to a reader, who
        /// may have version 6: see [`Chunk::is_read_by_version_6`].
        #[derive(Clone, Debug, PartialEq)]
        pub enum Chunk {
            $($(#[$doc])* $variant $({ $($(#[$field_doc])* $field: $type,)+ })?,)+
            /// The application's own data; its type on the wire is `data-` and `kind`.
            Data {
                /// What follows `data-` in the type.
                kind: String,
                /// Data of one kind and id replace those sent before.
                id: Option<String>,
                /// Any JSON.
                data: Value,
                /// Whether it is shown once and becomes no part of the message.
                transient: bool,
            },
        }

        impl Chunk {
            /// The frame's `type`; that of all data frames is told as `data-*`.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)+
                    Self::Data { .. } => "data-*",
                }
            }

            fn read(kind: &str, object: &mut Object) -> Result<Self, BadChunk> {
                match kind {
                    $($kind => Ok(Self::$variant $({ $($field: take(object, $kind, $name)?,)+ })?),)+
                    _ => Self::read_data(kind, object),
                }
            }
        }

        impl Serialize for Chunk {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                match self {
                    $(Self::$variant $({ $($field,)+ })? => {
                        map.serialize_entry("type", $kind)?;
                        $($($field.write($name, &mut map)?;)+)?
                    })+
                    Self::Data { kind, id, data, transient } => {
                        map.serialize_entry("type", &format_args!("data-{kind}"))?;
                        id.write("id", &mut map)?;
                        data.write("data", &mut map)?;
                        transient.write("transient", &mut map)?;
                    }
                }
                map.end()
            }
        }
    };
}
