"""What clients see: one router a file, strict schemas, errors in the shape that their own libraries know."""
