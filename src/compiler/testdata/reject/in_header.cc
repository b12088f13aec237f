#include "in_header.h"
