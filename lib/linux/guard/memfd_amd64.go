package guard

const sysMemfdCreate = 319
