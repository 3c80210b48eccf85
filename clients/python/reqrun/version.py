"""The version of this package; hatchling reads it here, so the line stays as plain as it is."""

VERSION = "0.1.0"
