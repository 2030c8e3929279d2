"""The ground floor: what every stage shares and no stage owns."""
