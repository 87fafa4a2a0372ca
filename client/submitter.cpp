#include "client/submitter.hpp"
