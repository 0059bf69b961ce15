//! Each quirk of Command Centre's interface, by name: what the server does, and that the connector is not fooled by it.

mod cards;
mod changes;
mod fields;
mod links;
mod memberships;
mod people;
mod rights;
mod site;
