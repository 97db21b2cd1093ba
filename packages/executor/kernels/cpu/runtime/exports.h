#pragma once
#define DAG_EXPORT extern "C" __attribute__((visibility("default")))
