/* A library of the engine alone has no sources of its own. */
typedef int nothing;
