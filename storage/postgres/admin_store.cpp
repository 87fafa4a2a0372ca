#include "storage/postgres/stores.hpp"
