int legacy(int x) { return x; }
