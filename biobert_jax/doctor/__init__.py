"""Every host of a run looked over before it: what is wrong is said in a line, not after an hour."""
