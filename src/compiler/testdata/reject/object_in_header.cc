#include "object_in_header.h"

int InHeader::get() const { return total_; }
